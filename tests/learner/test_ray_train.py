"""Two FSDP2 ranks under real Ray Train: the same numbers as one rank, also when a rank is killed on the way."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ray.train import ScalingConfig
from ray.train.torch import TorchConfig
from transformers import AutoModelForCausalLM

from azr.config.sections.cluster import ClusterConfig
from azr.config.sections.learner import LearnerConfig
from learner import ray_train
from learner.export import export
from learner.loop import run
from learner.ray_train import rank_resources, rank_threads, train
from tests.learner.plans import curve, noted, plan
from tests.learner.tiny import save_tiny_model

STEPS, KILL_AFTER = 20, 7
#: The long form: so many steps, of which so many are the last of some rank.
LONG_STEPS, KILLS = 60, 6
CHECKOUT = Path(__file__).parents[2]


def test_a_rank_asks_for_what_the_cluster_section_says() -> None:
    cluster = ClusterConfig(learner_cpus=2.0, learner_gpus=0.5)
    assert rank_resources(cluster, gpu=False) == {"CPU": 2.0}
    assert rank_resources(cluster, gpu=True) == {"CPU": 2.0, "GPU": 0.5}


@pytest.mark.parametrize(("gpu", "asked"), [(False, {"CPU": 2.0}), (True, {"CPU": 2.0, "GPU": 0.5})])
def test_ranks_have_gpus_where_the_plan_says_so_whatever_ray_counts(
    gpu: bool, asked: dict[str, float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ray counts a card that a torch built for CPUs cannot use."""
    made: list[ScalingConfig] = []

    class Trainer:
        def __init__(self, _rank: object, *, scaling_config: ScalingConfig, **_options: object) -> None:
            made.append(scaling_config)

        def fit(self) -> None:
            pass

    monkeypatch.setattr("ray.train.torch.TorchTrainer", Trainer)
    monkeypatch.setattr("ray.is_initialized", lambda: True)
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 8.0, "GPU": 1.0})
    train(replace(plan(tmp_path, tmp_path, steps=1), gpu=gpu), ClusterConfig(learner_cpus=2.0, learner_gpus=0.5))
    assert [(scaling.use_gpu, scaling.resources_per_worker) for scaling in made] == [(gpu, asked)]


def test_ranks_share_the_cores_unless_they_are_told_how_many_threads_to_take() -> None:
    assert rank_threads(LearnerConfig(), cores=8, here=2) == 4
    assert rank_threads(LearnerConfig(), cores=2, here=4) == 1
    assert rank_threads(LearnerConfig(threads=1), cores=8, here=2) == 1


def test_ranks_beside_gpus_leave_cores_to_players_and_sandboxes() -> None:
    assert rank_threads(LearnerConfig(), cores=16, here=2, gpu=True) == 4
    assert rank_threads(LearnerConfig(), cores=96, here=1, gpu=True) == 8
    assert rank_threads(LearnerConfig(), cores=8, here=8, gpu=True) == 1
    assert rank_threads(LearnerConfig(threads=3), cores=8, here=8, gpu=True) == 3


def test_a_rank_leaves_no_cores_to_ranks_that_are_on_other_machines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    set_to: list[int] = []
    monkeypatch.setattr("ray.train.get_context", lambda: SimpleNamespace(get_local_world_size=lambda: 2))
    monkeypatch.setattr(ray_train, "available_cores", lambda: 8)
    monkeypatch.setattr(ray_train, "run", lambda *_: None)
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    asked = plan(tmp_path, tmp_path, steps=1)
    ray_train._rank({"plan": replace(asked, learner=replace(asked.learner, ranks=4, threads=0))})
    assert set_to == [4]


DEAD_CONTROLLERS = """
import sys
import ray
from ray.util import placement_group, placement_group_table
from azr.run.local_ray import on_this_machine
from learner.ray_train import places_held, release_places

@ray.remote(num_cpus=0)
class Controller:
    def place(self):
        group = placement_group([{"CPU": 1}])
        return group.wait(20)

ray.init(
    num_cpus=1,
    include_dashboard=False,
    log_to_driver=False,
    logging_level="ERROR",
    runtime_env=on_this_machine({}),
)
for _ in range(2):
    assert not places_held()
    controller = Controller.remote()
    assert ray.get(controller.place.remote(), timeout=60), "no room: what the one before had set aside is still held"
    assert places_held()
    ray.kill(controller)
    release_places()
release_places()
assert {group["state"] for group in placement_group_table().values()} == {"REMOVED"}
ray.shutdown()
release_places()
"""


def test_what_a_killed_controller_had_set_aside_is_given_back() -> None:
    """Without that the next training would wait for a core for ever, and say nothing."""
    done = subprocess.run(
        [sys.executable, "-c", DEAD_CONTROLLERS], cwd=CHECKOUT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("gpu", "offload", "backend"),
    [(True, True, "cpu:gloo,cuda:nccl"), (True, False, None), (False, True, None), (False, False, None)],
)
def test_gradients_that_a_gpu_leaves_in_host_memory_can_be_summed_up_there(
    gpu: bool, offload: bool, backend: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ray's own choice, for None, is nccl alone where ranks have GPUs, and gloo elsewhere."""
    made: list[TorchConfig] = []

    class Trainer:
        def __init__(self, _rank: object, *, torch_config: TorchConfig, **_options: object) -> None:
            made.append(torch_config)

        def fit(self) -> None:
            pass

    monkeypatch.setattr("ray.train.torch.TorchTrainer", Trainer)
    asked = replace(plan(tmp_path, tmp_path, steps=1), gpu=gpu)
    train(replace(asked, learner=replace(asked.learner, cpu_offload=offload)))
    assert [config.backend for config in made] == [backend]


def trained_alone(folder: Path, steps: int = STEPS) -> Path:
    """The model whose curve everything else must have, trained by one rank without Ray into `folder/alone`."""
    model = save_tiny_model(folder / "model")
    run(plan(model, folder / "alone", steps=steps), torch.device("cpu"))
    return model


def hold_two_ranks_to_one(
    folder: Path,
    model: Path,
    kill_after: Sequence[int],
    steps: int = STEPS,
    *,
    seconds: float = 400.0,
    within: float = 1e-5,
) -> None:
    """Train on two ranks, kill one after each of these steps, and compare what came of it with what one rank made."""
    together = folder / f"killed_after_{'_'.join(map(str, kill_after))}"
    together.mkdir()
    # By paths from the working directory, as people type them: ranks must have the same one.
    words = [model.name, together.name, str(steps), *map(str, kill_after)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.learner.kill_a_rank", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    # Anywhere in a line: Ray tells of each death from another thread, at times before the line has its end.
    assert len(re.findall(r"killed \d+ of 2", done.stdout)) == len(kill_after), done.stderr[-3000:]

    one, two = curve(folder / "alone"), curve(together)
    assert len(noted(together, "take")) > steps, "the killed run must have asked for some steps again"
    assert sorted(two) == list(range(1, steps + 1))
    for step in one:
        assert two[step] == pytest.approx(one[step], abs=within, rel=within), f"step {step}"

    exported = [
        AutoModelForCausalLM.from_pretrained(
            export(source, together / f"exported_{source.name}", dtype="float32", base=str(model))
        ).state_dict()
        for source in (folder / "alone", together)
    ]
    for name, value in exported[0].items():
        torch.testing.assert_close(exported[1][name], value, atol=1e-4, rtol=1e-4)


@pytest.mark.timeout(420)
def test_two_ranks_of_which_one_is_killed_give_the_curve_and_the_export_of_one_rank(tmp_path: Path) -> None:
    hold_two_ranks_to_one(tmp_path, trained_alone(tmp_path), [KILL_AFTER])


@pytest.mark.soak
@pytest.mark.timeout(1500)
def test_so_they_do_whenever_and_however_often_ranks_die(tmp_path: Path) -> None:
    model = trained_alone(tmp_path, LONG_STEPS)
    seed = int(np.random.default_rng().integers(1 << 32))
    chosen = np.random.default_rng(seed).choice(np.arange(1, LONG_STEPS - 1), KILLS, replace=False)
    kill_after = sorted(map(int, chosen))
    print(f"seed {seed}: ranks are killed after steps {kill_after}")
    # Two ranks add up in another order than one, and what that makes of the last digits grows with the steps.
    hold_two_ranks_to_one(tmp_path, model, kill_after, LONG_STEPS, seconds=1300.0, within=1e-4)
