"""Whole runs that something is wrong with: what a person sees, and that they go on, or end by name and in order."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from azr.config import load
from azr.game.gate import GateRules
from azr.game.plan import drive_many
from azr.game.seeding import SeedingState, zero_tasks
from azr.run import reaper
from azr.run.checkpoint import read_state
from azr.run.seeds import seed_tasks, write_seeds
from azr.run.tracking.database import client_of
from azr.run.tracking.json_lines import read_lines
from azr.run.tracking.mlflow import tracking_uri
from sandbox_wasm.protocol import Sandbox
from tests.plugins import announce
from tests.run.broken_models import save_broken_model, save_garbage_model, save_long_model
from tests.run.wedged_backend import ENTRIES
from tests.run.whole import WholeRun, card

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

#: No evaluation, no MLflow, and no more patience with a model that brings nothing than it takes.
PLAIN = (
    "evaluation.suite=none",
    "tracking.mlflow=off",
    "seeding.batch=16",
    "seeding.stall_batches=2",
    "algorithm.batch.patience_seconds=1",
)

#: How long a disk stays full: ranks that end at each refusal would have used up all their restarts by then.
FULL_SECONDS = 150.0

Begin = Callable[..., WholeRun]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Starts runs; all are gone at the end, whatever happened."""
    begun: list[WholeRun] = []

    def start(name: str, *overrides: str, runs: Path = tmp_path / "runs", plugins: str = "") -> WholeRun:
        runs.mkdir(exist_ok=True)
        begun.append(WholeRun.begin(runs, name, *PLAIN, *overrides, plugins=plugins))
        return begun[-1]

    yield start
    for run in begun:
        run.tear_down()


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_model_of_garbage_is_said_and_the_run_goes_on_to_its_end(begin: Begin, tmp_path: Path) -> None:
    model = save_garbage_model(tmp_path / "model")
    run = begin("garbage", f"model.path={model}", "learner.checkpoint_every=50")
    run.until(lambda: "no proposal was let in" in run.said, "word of the proposals")
    run.process.send_signal(signal.SIGTERM)
    assert run.end() == 0, run.said[-4000:]
    assert "termination: finishing the step, writing a checkpoint" in run.said
    assert "seeding stands still at 1 of 6 triplets and 1 of 6 induction tasks" in run.said
    assert "3 seed tasks in the buffers" in run.said
    # Step 5, unless chance made one that the gate took.
    assert re.search(r"step \d+: no proposal was let in for 5 steps \(refused: ", run.said)
    assert card(run.folder)["ended"] == "stopped"
    told = [item for line in read_lines(run.folder / "metrics.jsonl") for item in line.items()]
    assert sum(value or 0.0 for name, value in told if name.startswith("proposal/refused/")) > 0
    assert "mlflow" not in run.said, "it was turned off"
    assert size_of(run.folder / "journal") + size_of(run.folder / "logs") < 10 << 20


def test_a_run_that_is_stopped_before_it_trains_ends_well(begin: Begin) -> None:
    """Its learner waits for players by then, in the middle of a call to Ray."""
    run = begin("early", "seeding.triplets=5000")
    run.until(lambda: "seeds … the model's first tasks" in run.said, "seeding")
    run.signal(signal.SIGINT)
    assert run.end() == 0, run.said[-4000:]
    assert "stopped after 0 steps" in run.said
    assert "Ctrl-C, before training began" in run.said
    assert card(run.folder)["ended"] == "stopped"


def test_a_run_that_is_told_twice_to_leave_leaves_at_once_noted_as_stopped_and_without_remains(begin: Begin) -> None:
    """Its learner is in the middle of a step, and Ray may end the driver for it: then the reaper tidies up."""
    run = begin("insisted", "tracking.mlflow=sqlite", "algorithm.batch.solve=96")
    run.until(lambda: len(run.steps()) >= 1 and bool(card(run.folder)["mlflow"]), "a step, and an id of MLflow")
    parts = psutil.Process(run.process.pid).children(recursive=True)
    run.signal(signal.SIGINT)
    run.until(lambda: "Ctrl-C: finishing the step, writing a checkpoint" in run.said, "word of the first signal")
    run.signal(signal.SIGINT)
    exit_status = run.end()
    assert exit_status in (0, 1), run.said[-4000:]
    assert card(run.folder)["ended"] == "stopped"
    client = client_of(tracking_uri("sqlite", run.folder.parent))
    told = client.get_run(str(card(run.folder)["mlflow"])).info.status
    assert told == "KILLED" or (exit_status == 1 and told == "RUNNING"), "Ray may be faster than MLflow's database"
    reaper._wait_for(set(parts), 60.0)
    assert [process.pid for process in parts if reaper.lives(process)] == []
    assert list(Path("/tmp").glob(f"azr-ray-{run.process.pid}-*")) == []
    assert list(Path("/dev/shm").glob("azr-azr-insisted*")) == []


@pytest.fixture
def hang_ups() -> Iterator[None]:
    """Heard by what is begun, though these tests may have been begun by somebody who passes them over."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def test_a_run_whose_terminal_is_closed_finishes_its_step_and_ends_well(hang_ups: None, begin: Begin) -> None:
    """All that was started from it is told, once by the shell and once by the system."""
    run = begin("closed")
    run.until(lambda: len(run.steps()) >= 1, "a step")
    for _ in range(2):
        run.signal(signal.SIGHUP)
    assert run.end() == 0, run.said[-4000:]
    assert "hang-up: finishing the step, writing a checkpoint" in run.said
    assert card(run.folder)["ended"] == "stopped"
    newest = max((run.folder / "checkpoints").glob("step_????????"))
    assert read_state(newest).step == max(run.steps())


def test_engines_whose_logprobs_are_no_numbers_end_the_run_by_name(begin: Begin, tmp_path: Path) -> None:
    model = save_broken_model(tmp_path / "model")
    run = begin("nan", f"model.path={model}", "run.steps=50")
    assert run.end() == 1, run.said[-4000:]
    assert "step 1: engines returned log-probs that are no log-probs, and those samples are dropped: " in run.said
    assert "the engines' log-probs are broken: in 3 steps in a row no sample had sound ones" in run.said
    assert str(card(run.folder)["ended"]).startswith("failed: the engines' log-probs are broken")
    assert all(line.get("learner/empty_step") == 1.0 for line in read_lines(run.folder / "metrics.jsonl"))


def test_an_engine_that_cannot_be_made_ends_the_run_with_what_its_process_ended_of(
    begin: Begin, tmp_path: Path
) -> None:
    """And not with that none stood within ten minutes."""
    model = save_long_model(tmp_path / "model")
    run = begin("unmade", f"model.path={model}", "rollout.kv_cache_mb=8")
    assert run.end() == 1, run.said[-4000:]
    assert re.search(r"azr: error: 2 times no engine could be made: ValueError: .*KV cache.*`max_model_len`", run.said)
    assert "mend: change the key that it speaks of (rollout.max_model_len" in run.said
    assert "no report was written" not in run.said, "there is nothing to report"
    assert str(card(run.folder)["ended"]).startswith("failed: 2 times no engine could be made")
    logs = "".join(path.read_text() for path in (run.folder / "logs").glob("engine-shared-*.log"))
    assert "in run_engine_core" in logs, "the whole of it"


def test_a_learner_whose_weights_grow_out_of_bounds_ends_the_run_by_name(begin: Begin) -> None:
    run = begin("diverged", "run.steps=50", "algorithm.optimiser.lr=1e30", "learner.restarts=1")
    assert run.end() == 1, run.said[-4000:]
    assert re.search(
        r"the learner failed: FloatingPointError: mini-batch \d of \d of step \d+ was not applied", run.said
    )
    assert str(card(run.folder)["ended"]).startswith("failed: the learner failed: FloatingPointError")


def test_a_sandbox_that_wedges_again_and_again_is_replaced_and_the_run_goes_on(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce(tmp_path / "plugins", "azr_wedged", ENTRIES, monkeypatch)
    run = begin(
        "wedging",
        "sandbox.backend=wedged",
        "sandbox.options={after: '100'}",
        "sandbox.wall_seconds=1",
        "sandbox.grace_seconds=1",
        "run.steps=6",
        plugins=str(tmp_path / "plugins"),
    )
    assert run.end() == 0, run.said[-4000:]
    assert "finished after 6 steps" in run.said
    lines = read_lines(run.folder / "metrics.jsonl")
    assert sum(line.get("sandbox/workers_replaced") or 0.0 for line in lines) > 0


def test_a_sandbox_that_never_answers_is_said_and_ends_the_run_by_name(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    """It is not tried by the driver, since seeds come from a file."""
    announce(tmp_path / "plugins", "azr_wedged", ENTRIES, monkeypatch)
    config = load(["tiny"])
    (zero,) = drive_many([zero_tasks(GateRules.of(config))], sandbox)
    write_seeds(tmp_path / "seeds.jsonl", seed_tasks(SeedingState.beginning(zero), config))
    run = begin(
        "wedged",
        "sandbox.backend=wedged",
        f"seeding.file={tmp_path / 'seeds.jsonl'}",
        "sandbox.wall_seconds=1",
        "sandbox.grace_seconds=1",
        "run.batch_seconds=80",
        plugins=str(tmp_path / "plugins"),
    )
    assert run.end() == 1, run.said[-4000:]
    assert "waiting for the batch of step 1 for 6" in run.said
    assert "sandbox workers had to be replaced" in run.said
    assert "no batch for step 1 within 8" in run.said
    assert run.said.count("learner … its first weights") == 1, "the ranks were not restarted for it"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that holds three checkpoints of the tiny model (33 MB each at first), and is filled within a second."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=120m", "tmpfs", str(place)]
    able = os.geteuid() == 0 and shutil.which("mount") is not None
    if not able or subprocess.run(mount, check=False).returncode:
        pytest.skip("no file system of its own can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_run_on_a_full_disk_says_so_goes_on_once_there_is_room_and_ends_well(begin: Begin, small_disk: Path) -> None:
    """However long that takes: ranks wait, and are not restarted into the same refusal again and again."""
    told = ("checkpoint.free_gb=0.001", "learner.keep_last=1", "learner.restarts=0")
    run = begin("full", *told, runs=small_disk / "runs")
    run.until(lambda: len(run.steps()) >= 2, "two steps")
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 12))
    run.until(lambda: "GiB left; checkpoints that do not fit are left out" in run.said, "word of the full disk")
    time.sleep(FULL_SECONDS)
    ballast.unlink()
    run.until(lambda: "GiB left again" in run.said, "word of the room")
    goes_on = max(run.steps()) + 3
    run.until(lambda: max(run.steps()) >= goes_on, "steps after it")
    run.process.send_signal(signal.SIGTERM)
    assert run.end() == 0, run.said[-4000:]
    assert card(run.folder)["ended"] == "stopped"
    assert "the learner failed" not in run.said
    assert "the disk is full" in run.said, "whoever waited said for what"
    newest = max((run.folder / "checkpoints").glob("step_????????"))
    assert read_state(newest).step == max(run.steps())
