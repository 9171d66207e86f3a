"""Judging in the sandbox beside the lanes: a pool of worker processes, asked without blocking the event loop.

One a player. WebAssembly traps arrive by signals that Ray takes for itself, so programs run in the pool's own processes
and never in the actor's. What comes back undecided (the machine stumbled) is judged again, `tries` times in all; what
is undecided then is for the caller to drop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from azr.config.sections.sandbox import SandboxConfig
from azr.game.plan import Plan, drive_async
from sandbox_wasm.pool import SandboxPool
from sandbox_wasm.protocol import Sandbox

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


class Judge:
    """Carries plans to their outcomes."""

    def __init__(self, sandbox: Sandbox, tries: int) -> None:
        self.sandbox = sandbox
        self.tries = tries

    async def decide(
        self, plan: Callable[[], Plan[Outcome]], undecided: Callable[[Outcome], bool]
    ) -> tuple[Outcome, int]:
        """The outcome, and how often it was judged again; it may still be undecided."""
        for retried in range(self.tries - 1):
            outcome = await drive_async(plan(), self.sandbox)
            if not undecided(outcome):
                return outcome, retried
        return await drive_async(plan(), self.sandbox), self.tries - 1
