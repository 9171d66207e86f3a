"""Jobs for the rehearsal back end, and what their answers say."""

from __future__ import annotations

import time
from collections.abc import Callable

from sandbox_wasm.protocol import JobResult, Limits, RunJob, RunResult

#: Limits of jobs that are meant to be killed: short, so that tests are.
SHORT = Limits(wall_seconds=0.2)


def run(directions: str, *inputs: str, limits: Limits = Limits()) -> RunJob:  # noqa: B008 (frozen)
    """A job that does what the directions say and echoes its inputs."""
    return RunJob(program=directions, inputs=inputs or ("0",), limits=limits)


def said(result: JobResult) -> list[str]:
    """For each input its echo, or how it failed."""
    assert isinstance(result, RunResult)
    return [outcome.value.literal if outcome.value is not None else outcome.status for outcome in result.outcomes]


def eventually(condition: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    """Wait until something is so; fail by saying what was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s until {what}"
        time.sleep(0.01)
