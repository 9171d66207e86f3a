"""Sandbox work written as plans: control logic that asks for jobs and is told their results.

A `Plan` is a generator that yields a batch of jobs, is sent the batch of their results in the same order, and
returns its verdict. So the gate and the verifier hold no sandbox, no clock and no event loop; tests feed them
results by hand, actors drive them asynchronously, the command line drives thousands at once.

        plan ── yield (Job, Job, …) ──► driver ── run_many / run_async ──► Sandbox
          ▲                               │
          └────── send (result, …) ◄──────┘        return verdict
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from typing import Generic, TypeVar

from sandbox_wasm.protocol import (
    InspectJob,
    InspectResult,
    Job,
    JobResult,
    LiteralJob,
    LiteralResult,
    RunJob,
    RunResult,
    Sandbox,
)

Verdict = TypeVar("Verdict")

Plan = Generator[tuple[Job, ...], tuple[JobResult, ...], Verdict]


def run(*jobs: RunJob) -> Plan[tuple[RunResult, ...]]:
    """Ask for runs together; the answers are runs, or the sandbox has broken its contract and a `TypeError` says so."""
    return tuple(_expected(result, RunResult) for result in (yield jobs))


def inspect_and_read(inspection: InspectJob, reading: LiteralJob) -> Plan[tuple[InspectResult, LiteralResult]]:
    """Ask for a program's facts and a reading of texts in one round."""
    facts, texts = yield (inspection, reading)
    return _expected(facts, InspectResult), _expected(texts, LiteralResult)


def inspect(job: InspectJob) -> Plan[InspectResult]:
    """Ask for a program's facts."""
    (result,) = yield (job,)
    return _expected(result, InspectResult)


def read(*jobs: LiteralJob) -> Plan[tuple[LiteralResult, ...]]:
    """Ask for readings of texts as data."""
    return tuple(_expected(result, LiteralResult) for result in (yield jobs))


Result = TypeVar("Result", RunResult, LiteralResult, InspectResult)


def _expected(result: JobResult, kind: type[Result]) -> Result:
    if not isinstance(result, kind):
        raise TypeError(f"the sandbox answered with {type(result).__name__} where {kind.__name__} was due")
    return result


def drive(plan: Plan[Verdict], sandbox: Sandbox) -> Verdict:
    """Carry one plan to its verdict, blocking."""
    return next(drive_many([plan], sandbox))


def drive_many(plans: Iterable[Plan[Verdict]], sandbox: Sandbox, window: int = 64) -> Iterator[Verdict]:
    """Carry plans to their verdicts in order, up to `window` of them open at a time, so that all workers stay busy.

    Plans advance in rounds: the jobs of every open plan go to the sandbox together, and plans that ended make room
    for new ones before the next round. Memory is bounded by `window`.
    """
    source = iter(plans)
    opened: deque[_Open[Verdict]] = deque()
    while True:
        while opened and opened[0].ended:
            yield opened.popleft().verdict()
        while len(opened) < window and (plan := next(source, None)) is not None:
            opened.append(_Open(plan))
        if not opened:
            return
        if waiting := [one for one in opened if not one.ended]:
            results = sandbox.run_many([job for one in waiting for job in one.jobs])
            for one in waiting:
                one.advance(tuple(next(results) for _ in one.jobs))


class _Open(Generic[Verdict]):
    """A plan under way: the jobs it waits for, or its verdict."""

    def __init__(self, plan: Plan[Verdict]) -> None:
        self._plan = plan
        self._verdict: list[Verdict] = []
        self.jobs: tuple[Job, ...] = ()
        self.advance(None)

    @property
    def ended(self) -> bool:
        return bool(self._verdict)

    def advance(self, results: tuple[JobResult, ...] | None) -> None:
        try:
            self.jobs = next(self._plan) if results is None else self._plan.send(results)
        except StopIteration as stop:
            self._verdict.append(stop.value)

    def verdict(self) -> Verdict:
        return self._verdict[0]


async def drive_async(plan: Plan[Verdict], sandbox: Sandbox) -> Verdict:
    """Carry one plan to its verdict without blocking the event loop."""
    (verdict,) = await drive_together([plan], sandbox)
    return verdict


async def drive_together(plans: Iterable[Plan[Verdict]], sandbox: Sandbox) -> list[Verdict]:
    """Carry plans to their verdicts, in their order, all open at a time, without blocking the event loop.

    They advance in rounds, as in `drive_many`, for jobs that travel together cost less each. One whose jobs take long
    lets the others wait for their next round, so this is for plans whose verdicts are of no use before the last is in.
    """
    opened = [_Open(plan) for plan in plans]
    while waiting := [one for one in opened if not one.ended]:
        # Handed on one by one: what a plan has no use for any more is not kept until the next round is done.
        results = deque(await sandbox.run_async([job for one in waiting for job in one.jobs]))
        for one in waiting:
            one.advance(tuple(results.popleft() for _ in one.jobs))
    return [one.verdict() for one in opened]
