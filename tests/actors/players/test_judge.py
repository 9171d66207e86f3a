"""A pool is tried before it is relied on, and asked for all attempts of a group together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from actors.players.judge import Judge, JudgingError, SandboxUselessError, open_tried_pool
from azr.config.sections.sandbox import SandboxConfig
from azr.game import plan
from azr.game.plan import Plan
from sandbox_wasm.dispatcher import SandboxBrokenError
from sandbox_wasm.protocol import Job, JobResult, Outcome, RunJob, RunResult
from tests.plugins import announce
from tests.run.wedged_backend import ENTRIES


def test_a_pool_that_runs_programs_is_handed_over(sandbox: object) -> None:
    with open_tried_pool(SandboxConfig(), 1) as pool:
        assert pool.statistics().executions == 1


def test_one_that_never_answers_is_told_in_seconds_and_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    announce(tmp_path, "azr_wedged", ENTRIES, monkeypatch)
    config = SandboxConfig(backend="wedged", wall_seconds=0.3, timeout_seconds=0.3, grace_seconds=0.3)
    began = time.monotonic()
    with pytest.raises(SandboxUselessError, match="the sandbox 'wedged' stands but runs no program") as told:
        open_tried_pool(config, 1)
    assert "azr doctor" in told.value.mend
    assert time.monotonic() - began < 60.0


class Stumbling:
    """A sandbox that stumbles over a program as often as it is told to, and remembers what it was asked together."""

    def __init__(self, **stumbles: int) -> None:
        self.stumbles = stumbles
        self.rounds: list[list[str]] = []

    async def run_async(self, jobs: Sequence[Job]) -> list[JobResult]:
        programs = [job.program for job in jobs if isinstance(job, RunJob)]
        self.rounds.append(programs)
        return [self._answer(program) for program in programs]

    def _answer(self, program: str) -> RunResult:
        left = self.stumbles.get(program, 0)
        self.stumbles[program] = left - 1
        return RunResult((Outcome("retry" if left > 0 else "error", error=program),))


def judging(program: str) -> Plan[str]:
    """One run: its status and the program."""
    (result,) = yield from plan.run(RunJob(program=program, inputs=("",)))
    return f"{result.outcomes[0].status} {program}"


async def decided(sandbox: Stumbling, tries: int, programs: str) -> list[tuple[str, int]]:
    judge = Judge(sandbox, tries)  # type: ignore[arg-type]
    plans = [lambda program=program: judging(program) for program in programs]
    return await judge.decide_all(plans, lambda outcome: outcome.startswith("retry"))


async def test_attempts_go_to_the_sandbox_together() -> None:
    sandbox = Stumbling()
    assert await decided(sandbox, 3, "abc") == [("error a", 0), ("error b", 0), ("error c", 0)]
    assert sandbox.rounds == [["a", "b", "c"]]


async def test_only_what_is_undecided_is_judged_again_and_no_more_often_than_allowed() -> None:
    sandbox = Stumbling(b=1, d=9)
    assert await decided(sandbox, 3, "abcd") == [("error a", 0), ("error b", 1), ("error c", 0), ("retry d", 2)]
    assert sandbox.rounds == [["a", "b", "c", "d"], ["b", "d"], ["d"]]


async def test_one_alone_is_decided_likewise() -> None:
    judge = Judge(Stumbling(a=1), 3)  # type: ignore[arg-type]
    assert await judge.decide(lambda: judging("a"), lambda outcome: outcome.startswith("retry")) == ("error a", 1)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (SandboxBrokenError("workers cannot be started"), "^workers cannot be started"),
        (OSError("too many open files"), "^too many open files"),
        (MemoryError("none is left"), "^none is left"),
        (TypeError("no job"), r"test_judge\.py:\d+: TypeError: no job"),
    ],
)
async def test_what_a_plan_raises_is_told_from_what_sandbox_and_machine_lack(error: Exception, told: str) -> None:
    """The one costs the piece of work for good; with the other it is given to somebody else."""

    def failing() -> Plan[str]:
        yield from ()
        raise error

    judge = Judge(Stumbling(), 3)  # type: ignore[arg-type]
    with pytest.raises(JudgingError if isinstance(error, TypeError) else type(error), match=told):
        await judge.decide(failing, lambda _: False)
