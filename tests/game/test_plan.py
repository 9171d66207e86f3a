"""Plans: driven in order, in bounded memory, blocking or not."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterable, Iterator, Sequence

import pytest

from azr.game import plan
from azr.game.plan import Plan, drive, drive_async, drive_many, drive_together
from sandbox_wasm.protocol import (
    InspectJob,
    InspectResult,
    Job,
    JobResult,
    LiteralJob,
    LiteralResult,
    Outcome,
    RunJob,
    RunResult,
    Statistics,
)


class Recorder:
    """A sandbox that answers each job with its own text, and remembers the batches it was asked."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def run_many(self, jobs: Iterable[Job]) -> Iterator[JobResult]:
        asked = list(jobs)
        self.batches.append(len(asked))
        return iter([self._answer(job) for job in asked])

    async def run_async(self, jobs: Sequence[Job]) -> list[JobResult]:
        self.batches.append(len(jobs))
        await asyncio.sleep(0)
        return [self._answer(job) for job in jobs]

    def statistics(self) -> Statistics:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    @staticmethod
    def _answer(job: Job) -> JobResult:
        if isinstance(job, RunJob):
            return RunResult((Outcome("ok", error=job.program),))
        if isinstance(job, LiteralJob):
            return LiteralResult((Outcome("ok", error=job.texts[0]),))
        return InspectResult(None, reason=job.program)


def steps(name: str, rounds: int) -> Plan[str]:
    """Asks `rounds` times and says what it was told."""
    told = []
    for number in range(rounds):
        (result,) = yield from plan.run(RunJob(program=f"{name}{number}", inputs=("",)))
        told.append(result.outcomes[0].error)
    return " ".join(told) or f"{name}-"


def test_a_plan_is_told_the_results_of_its_own_jobs() -> None:
    assert drive(steps("a", 3), Recorder()) == "a0 a1 a2"
    assert drive(steps("a", 0), Recorder()) == "a-"


def test_plans_of_different_length_end_in_their_order() -> None:
    plans = [steps(name, rounds) for name, rounds in zip("abcde", (3, 0, 1, 0, 2), strict=True)]
    assert list(drive_many(plans, Recorder(), window=2)) == ["a0 a1 a2", "b-", "c0", "d-", "e0 e1"]


def test_no_more_plans_are_opened_than_the_window_holds() -> None:
    opened = 0

    def source() -> Iterator[Plan[str]]:
        nonlocal opened
        for _ in range(20):
            opened += 1
            yield steps("a", 1)

    verdicts = drive_many(source(), Recorder(), window=4)
    next(verdicts)
    assert opened == 4
    assert len(list(verdicts)) == 19


def test_open_plans_share_their_rounds_and_ended_ones_make_room() -> None:
    sandbox = Recorder()
    list(drive_many([steps("a", 2) for _ in range(6)], sandbox, window=3))
    assert sandbox.batches == [3, 3, 3, 3]


def test_many_jobs_of_one_round_keep_their_order() -> None:
    def asks() -> Plan[list[str]]:
        results = yield from plan.read(*(LiteralJob(texts=(str(number),)) for number in range(5)))
        return [result.outcomes[0].error for result in results]

    assert drive(asks(), Recorder()) == list("01234")


def test_an_answer_of_the_wrong_kind_is_the_sandboxs_fault_and_said_to_be() -> None:
    asking = plan.inspect(InspectJob(program=""))
    next(asking)
    with pytest.raises(TypeError, match="answered with RunResult where InspectResult was due"):
        asking.send((RunResult(()),))


async def test_plans_run_beside_each_other_without_blocking_the_loop() -> None:
    verdicts = await asyncio.gather(*(drive_async(steps(name, 2), Recorder()) for name in "abc"))
    assert verdicts == ["a0 a1", "b0 b1", "c0 c1"]
    assert await drive_async(steps("a", 0), Recorder()) == "a-"


async def test_plans_that_are_driven_together_share_their_rounds_and_keep_their_order() -> None:
    sandbox = Recorder()
    plans = [steps(name, rounds) for name, rounds in zip("abcd", (3, 0, 1, 2), strict=True)]
    assert await drive_together(plans, sandbox) == ["a0 a1 a2", "b-", "c0", "d0 d1"]
    assert sandbox.batches == [3, 2, 1], "a call a round, for those that are not done"


class Watched(RunResult, frozen=True, weakref=True, tag="run"):
    """A result that can be asked for."""


async def test_what_a_plan_has_no_use_for_any_more_is_gone_before_the_next_round() -> None:
    """Each may hold megabytes, and many are under way."""

    class Watching(Recorder):
        def __init__(self) -> None:
            super().__init__()
            self.given: list[weakref.ref[Watched]] = []
            self.kept: list[int] = []

        async def run_async(self, jobs: Sequence[Job]) -> list[JobResult]:
            self.kept.append(sum(each() is not None for each in self.given))
            results: list[JobResult] = [Watched(()) for _ in jobs]
            self.given += [weakref.ref(result) for result in results if isinstance(result, Watched)]
            return results

    def forgetful() -> Plan[str]:
        for _ in range(2):
            yield (RunJob(program="", inputs=()),)
        return ""

    sandbox = Watching()
    assert await drive_together([forgetful(), forgetful()], sandbox) == ["", ""]
    assert sandbox.kept == [0, 0]


async def test_plans_that_ask_nothing_and_no_plans_at_all_trouble_no_sandbox() -> None:
    sandbox = Recorder()
    assert await drive_together([steps("a", 0)], sandbox) == ["a-"]
    assert await drive_together([], sandbox) == []
    assert sandbox.batches == []


def test_an_error_in_a_plan_reaches_who_drives_it() -> None:
    def broken() -> Plan[str]:
        yield from plan.inspect(InspectJob(program=""))
        raise RuntimeError("a defect of ours")

    with pytest.raises(RuntimeError, match="a defect of ours"):
        drive(broken(), Recorder())
