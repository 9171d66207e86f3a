"""Sandbox work written as plans: control logic that asks for jobs and is told their results.

A `Plan` is a generator that yields a batch of jobs, is sent the batch of their results in the same order, and
returns its verdict. So the gate and the verifier hold no sandbox, no clock and no event loop; tests feed them
results by hand, actors drive them asynchronously, the command line drives thousands at once.

        plan ── yield (Job, Job, …) ──► driver ── run_many / run_async ──► Sandbox
          ▲                               │
          └────── send (result, …) ◄──────┘        return verdict
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import TypeVar

from sandbox_wasm.protocol import Job, JobResult, Sandbox

Verdict = TypeVar("Verdict")

Plan = Generator[tuple[Job, ...], tuple[JobResult, ...], Verdict]


def drive(plan: Plan[Verdict], sandbox: Sandbox) -> Verdict:
    """Carry one plan to its verdict, blocking."""
    return next(iter(drive_many([plan], sandbox)))


def drive_many(plans: Iterable[Plan[Verdict]], sandbox: Sandbox, window: int = 64) -> Iterator[Verdict]:
    """Carry plans to their verdicts in order, `window` of them at a time, so that all workers stay busy.

    Plans advance in rounds: the jobs of every open plan go to the sandbox together. Memory is bounded by `window`.
    """
    source = iter(plans)
    while batch := [plan for _, plan in zip(range(window), source, strict=False)]:
        yield from _drive_batch(batch, sandbox)


def _drive_batch(plans: list[Plan[Verdict]], sandbox: Sandbox) -> list[Verdict]:
    verdicts: dict[int, Verdict] = {}
    waiting: dict[int, tuple[Job, ...]] = {}

    def advance(index: int, results: tuple[JobResult, ...] | None) -> None:
        plan = plans[index]
        try:
            waiting[index] = next(plan) if results is None else plan.send(results)
        except StopIteration as stop:
            verdicts[index] = stop.value

    for index in range(len(plans)):
        advance(index, None)
    while waiting:
        round_jobs, waiting = waiting, {}
        results = sandbox.run_many([job for jobs in round_jobs.values() for job in jobs])
        for index, jobs in round_jobs.items():
            advance(index, tuple(next(results) for _ in jobs))
    return [verdicts[index] for index in range(len(plans))]


async def drive_async(plan: Plan[Verdict], sandbox: Sandbox) -> Verdict:
    """Carry one plan to its verdict without blocking the event loop."""
    try:
        jobs = next(plan)
        while True:
            jobs = plan.send(tuple(await sandbox.run_async(jobs)))
    except StopIteration as stop:
        verdict: Verdict = stop.value
        return verdict
