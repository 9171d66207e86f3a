"""Judging in the sandbox beside the lanes: a pool of worker processes, asked without blocking the event loop.

One a player. WebAssembly traps arrive by signals that Ray takes for itself, so programs run in the pool's own processes
and never in the actor's. What comes back undecided (the machine stumbled) is judged again, `tries` times in all; what
is undecided then is for the caller to drop.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import TypeVar

from azr.config.sections.sandbox import SandboxConfig
from azr.errors import AzrError
from azr.game.limits import limits_of
from azr.game.plan import Plan, drive_together
from sandbox_wasm.dispatcher import SandboxError
from sandbox_wasm.pool import SandboxPool
from sandbox_wasm.protocol import RunJob, RunResult, Sandbox

#: Why work is dropped whose task type failed at it.
JUDGE_FAILED = "judge_failed"

Outcome = TypeVar("Outcome")


def open_pool(config: SandboxConfig, workers: int) -> SandboxPool:
    """The pool of one player."""
    return SandboxPool(
        config.backend,
        workers,
        options=dict(config.options),
        queue_jobs=config.queue_jobs or None,
        grace_seconds=config.grace_seconds,
        start_seconds=config.start_seconds,
    )


class SandboxUselessError(AzrError):
    """The sandbox stands, and runs nothing."""


def open_tried_pool(config: SandboxConfig, workers: int) -> SandboxPool:
    """A pool that has run one program, so that one that answers nothing is told in seconds: judging takes each of
    thousands of programs for one that the machine stumbled over, and waits for it."""
    pool = open_pool(config, workers)
    try:
        job = RunJob(program="def f(n):\n    return n * 2", inputs=("21",), limits=limits_of(config))
        (result,) = pool.run_many([job])
        (outcome,) = result.outcomes if isinstance(result, RunResult) else ()
        if outcome.value is None or outcome.value.literal != "42":
            told = f"{outcome.status} {outcome.error}".rstrip()
            raise SandboxUselessError(
                f"the sandbox {config.backend!r} stands but runs no program: one that doubles 21 ended as {told}",
                "azr doctor looks closer; sandbox.backend chooses another",
            )
    except BaseException:
        pool.close()
        raise
    return pool


class JudgingError(Exception):
    """A task type's own code raised while it read, gated or verified; the sandbox is sound."""


class Judge:
    """Carries plans to their outcomes."""

    def __init__(self, sandbox: Sandbox, tries: int) -> None:
        self.sandbox = sandbox
        self.tries = tries

    async def decide(
        self, plan: Callable[[], Plan[Outcome]], undecided: Callable[[Outcome], bool]
    ) -> tuple[Outcome, int]:
        """The outcome, and how often it was judged again; it may still be undecided."""
        (found,) = await self.decide_all([plan], undecided)
        return found

    async def decide_all(
        self, plans: Sequence[Callable[[], Plan[Outcome]]], undecided: Callable[[Outcome], bool]
    ) -> list[tuple[Outcome, int]]:
        """The outcome of each, and how often it was judged again; the plans go to the sandbox together, and again only
        those that are undecided. Raises `JudgingError` for whatever a plan raises."""
        found: dict[int, tuple[Outcome, int]] = {}
        left = list(range(len(plans)))
        for tried in range(max(1, self.tries)):
            try:
                outcomes = await drive_together([plans[number]() for number in left], self.sandbox)
                found |= {number: (outcome, tried) for number, outcome in zip(left, outcomes, strict=True)}
                left = [number for number in left if undecided(found[number][0])]
            except (SandboxError, OSError, MemoryError):  # the sandbox's or the machine's, and no fault of the task's
                raise
            except Exception as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                raise JudgingError(f"{place.filename}:{place.lineno}: {type(error).__name__}: {error}") from error
            if not left:
                break
        return [found[number] for number in range(len(plans))]
