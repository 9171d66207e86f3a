"""Two FSDP2 ranks under real Ray Train: the same numbers as one rank, also when a rank is killed on the way."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import psutil
import pytest
import ray
import torch

from learner.loop import run
from learner.ray_train import train
from tests.learner.plans import curve, noted, plan
from tests.learner.tiny import save_tiny_model

STEPS = 20


@pytest.fixture
def local_ray(tmp_path_factory: pytest.TempPathFactory) -> object:
    """A Ray of this test's own."""
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, object_store_memory=100 << 20)
    yield None
    ray.shutdown()


def kill_a_rank_after(folder: Path, step: int, victims: list[int]) -> None:
    """Wait until the run has done `step` steps, then SIGKILL the training process that wrote the curve."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        if (folder / "curve.jsonl").exists() and max(curve(folder), default=0) >= step:
            break
        time.sleep(0.02)
    own = psutil.Process().children(recursive=True)
    ranks = [process for process in own if "RayTrainWorker" in " ".join(process.cmdline())]
    ranks[-1].kill()
    victims.append(ranks[-1].pid)


@pytest.mark.timeout(300)
def test_two_ranks_of_which_one_is_killed_give_the_curve_of_one_rank(local_ray: object, tmp_path: Path) -> None:
    model = save_tiny_model(tmp_path / "model")
    alone = plan(model, tmp_path / "alone", steps=STEPS)
    run(alone, torch.device("cpu"))

    together = plan(model, tmp_path / "together", steps=STEPS, ranks=2, checkpoint_every=3)
    victims: list[int] = []
    killer = threading.Thread(target=kill_a_rank_after, args=(together.folder, 7, victims))
    killer.start()
    train(together)
    killer.join()

    assert victims
    taken = noted(together.folder, "take")
    assert len(taken) > STEPS, "the killed run must have asked for some steps again"
    one, two = curve(alone.folder), curve(together.folder)
    assert sorted(two) == list(range(1, STEPS + 1))
    for step in one:
        assert two[step] == pytest.approx(one[step], abs=1e-5, rel=1e-5), f"step {step}"
