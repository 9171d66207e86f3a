"""A whole run as a job: stopped on the way and, at length, taken up by a second job that is followed to its end."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.cluster.head import Head, until

pytestmark = pytest.mark.timeout(1500)

#: A run of a minute on two busy cores: few seeds, small batches, no evaluation.
SMALL = """\
include: [tiny]
run: {minutes: 0, steps: 1000}
cluster: {address: auto}
evaluation: {suite: none}
tracking: {mlflow: "off"}
seeding: {triplets: 8, inductions: 8}
algorithm: {batch: {propose: 2, solve: 24, patience_seconds: 5}}
"""

#: How long a run may take to its steps, and how long to leave.
RUN_SECONDS, LEAVE_SECONDS = 600.0, 120.0
#: Between two looks at a job: each is a Python of its own, which takes seconds of a core beside a run that starts.
LOOK_SECONDS = 20.0


@pytest.fixture
def client(tmp_path: Path) -> Path:
    """What a user has at hand: a folder with a configuration."""
    (tmp_path / "small.yaml").write_text(SMALL)
    return tmp_path


def submission(mark: str, *options: str) -> tuple[str, ...]:
    """`ray job submit` as docs/cluster.md gives it, up to the command of the job."""
    runtime = json.dumps({"env_vars": {"AZR_TEST_MARK": mark}})
    return ("submit", *options, "--working-dir", ".", "--runtime-env-json", runtime, "--")


def new_run(client: Path, name: str) -> tuple[str, ...]:
    return ("azr", "train", "--config", "small.yaml", f"run.folder={client / 'runs'}", f"run.name={name}")


def steps_of(run: Path) -> list[int]:
    path = run / "metrics.jsonl"
    return [json.loads(line)["step"] for line in path.read_text().splitlines()] if path.exists() else []


def card_of(run: Path) -> dict[str, object]:
    read: dict[str, object] = json.loads((run / "run.json").read_text())
    return read


def begin(head: Head, client: Path, name: str, what: str, run: Path) -> None:
    """Submit a run that nothing ends, and wait until it has made something."""
    words = (*submission(name, "--no-wait", "--submission-id", name), *new_run(client, name))
    assert head.ray(*words, cwd=client).returncode == 0
    deadline = time.monotonic() + RUN_SECONDS
    look = time.monotonic() + LOOK_SECONDS
    while not (run / what).exists():
        assert time.monotonic() < deadline, f"no {what} within {RUN_SECONDS:g} s"
        if time.monotonic() > look:
            told = head.ray("status", name, cwd=client).stdout
            assert "failed" not in told, head.ray("logs", name, cwd=client).stdout[-5000:]
            look = time.monotonic() + LOOK_SECONDS
        time.sleep(0.3)


def stopped(head: Head, client: Path, name: str) -> tuple[Path, int]:
    """A run as a job, stopped after its first steps with no process left: its folder, and the step that it kept."""
    run = client / "runs" / name
    begin(head, client, name, "metrics.jsonl", run)
    assert head.ray("stop", name, cwd=client, seconds=LEAVE_SECONDS).returncode == 0
    until(lambda: not head.processes_of_jobs(name), LEAVE_SECONDS, "the end of all processes of the job")
    assert "was stopped" in head.ray("status", name, cwd=client).stdout
    stood_at = steps_of(run)[-1]
    assert card_of(run)["ended"] == "stopped"
    [checkpoint] = (run / "checkpoints").glob("step_*/learner.json")
    assert json.loads(checkpoint.read_text())["step"] == stood_at
    assert list(Path("/dev/shm").glob(f"azr-azr-{name}-*")) == []
    return run, stood_at


def test_a_run_stopped_on_the_way_keeps_a_checkpoint_and_leaves_no_process(head: Head, client: Path) -> None:
    stopped(head, client, "whole")


@pytest.mark.soak
def test_a_second_job_takes_up_a_run_that_was_stopped_and_is_followed_to_its_end(head: Head, client: Path) -> None:
    run, stood_at = stopped(head, client, "again")
    goes_on = ("azr", "train", "--resume", str(run), f"run.steps={stood_at + 2}")
    done = head.ray(*submission("resumed"), *goes_on, cwd=client, seconds=RUN_SECONDS)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-3000:]
    assert f"step {stood_at + 1}/{stood_at + 2}" in done.stdout, "its lines are followed"
    assert done.stdout.index("places ready") < done.stdout.index("engines …"), "ranks choose their nodes first"
    assert f"finished after {stood_at + 2} steps" in done.stdout
    assert steps_of(run) == list(range(1, stood_at + 3))
    assert card_of(run)["ended"] == "finished"
    until(lambda: not head.processes_of_jobs("resumed"), LEAVE_SECONDS, "the end of all processes of the job")
    assert list(Path("/dev/shm").glob("azr-azr-again-*")) == []


@pytest.mark.soak
def test_a_run_whose_driver_is_killed_leaves_no_engine(head: Head, client: Path) -> None:
    """Serve and its engines belong to no job; engines whose run is gone have Serve end them."""
    begin(head, client, "killed", "seeds.jsonl", client / "runs" / "killed")
    for line in head.processes_of_jobs("killed"):
        if "azr train" in line and "ray::" not in line:
            os.kill(int(line.partition(":")[0]), signal.SIGKILL)

    def engines() -> list[str]:
        return [line for line in head.processes_of_jobs("killed") if "ray::ServeController" not in line]

    until(lambda: not engines(), LEAVE_SECONDS, "the end of all processes of the job but Serve's own")
