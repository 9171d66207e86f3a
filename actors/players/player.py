"""One player at work: its lanes, its heartbeat, its end. Lives on one event loop; knows nothing of Ray.

      Lanes (one set a shard) ── next_work ──► experience
             └── Proposer.play / Solver.play
      heartbeat ── renew(all that is under way) ──► what is no longer wanted is cancelled

Whatever fails in a lane is logged, counted, and told to the experience as lost: it is given out again, and dropped as
poisoned if it fails for others too. A sandbox that is broken for good ends the player; Ray starts another.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from actors.players.generating import Role
from actors.players.lanes import Lanes
from actors.players.proposer import Proposer
from actors.players.solver import Solver
from actors.players.table import Table
from actors.services.calls import ServiceError
from actors.services.split import named
from azr.game.reasons import clean
from azr.journal.journal import JournalError
from azr.ledger.work import ToAttempt, Work
from sandbox_wasm.dispatcher import SandboxError

#: Why the experience does not hear of what was lost: it is away, or its disk is full. Leases run out then.
UNHEARD = (ServiceError, JournalError)


class Player:
    """A proposer or a solver."""

    def __init__(self, table: Table, role: Role, lanes: int, *, broken: Callable[[str], None]) -> None:
        """`broken` ends the process: called with the reason when the player cannot go on."""
        self.table = table
        self.role = role
        self._broken = broken
        self._proposer = Proposer(table)
        self._solver = Solver(table)
        self._count = 0
        self._lanes = [self._lanes_of(shard, part) for shard, part in enumerate(_shared(lanes, self._shards))]
        self._began = time.monotonic()
        self._stopped = asyncio.Event()

    @property
    def _shards(self) -> int:
        return len(self.table.experience.shards)

    async def run(self) -> None:
        """Play until stopped."""
        await self.table.experience.hello()
        beats = [asyncio.create_task(self._beat(shard), name=f"azr-heartbeat-{shard}") for shard in range(self._shards)]
        tasks = [asyncio.create_task(self._until_stopped(), name="azr-lanes"), *beats]
        try:
            # A heartbeat that ends by itself ends the player.
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _until_stopped(self) -> None:
        await asyncio.gather(*(lanes.run() for lanes in self._lanes))
        await self._stopped.wait()  # what is under way needs this loop until it is done

    async def stop(self, deadline_seconds: float) -> list[str]:
        """Begin nothing more; returns the groups that were given up at the deadline, which others will be given."""
        given_up = await asyncio.gather(*(lanes.stop(deadline_seconds) for lanes in self._lanes))
        lost = [work for works in given_up for work in works]
        unbegun = [work for lanes in self._lanes for work in lanes.unbegun]
        with contextlib.suppress(*UNHEARD):
            for work in (*lost, *unbegun):
                await self.table.experience.lost(name_of(work), _tries_of(work), blame=False)
        self._stopped.set()
        return [name_of(work) for work in lost]

    def under_way(self) -> list[str]:
        """The groups that are being worked on."""
        return [group for lanes in self._lanes for group in lanes.under_way]

    def take_stock(self) -> None:
        """Count how busy the lanes are."""
        waited = sum(lanes.waited_seconds for lanes in self._lanes)
        for lanes in self._lanes:
            lanes.waited_seconds = 0.0
        self.table.tally.lanes(len(self.under_way()), sum(lanes.count for lanes in self._lanes), waited)

    def _lanes_of(self, shard: int, count: int) -> Lanes[Work]:
        async def ask(free: int) -> Sequence[Work]:
            experience, config = self.table.experience, self.table.config
            names = [self._fresh(shard) for _ in range(free)]
            dry = self._solver.dry() if self.role == "solve" else ()
            return await experience.next_work(shard, names, (self.role,), dry, config.actors.poll_seconds)

        return Lanes(count, ask=ask, do=self._play, name=name_of, failed=self._failed)

    def _fresh(self, shard: int) -> str:
        self._count += 1
        return named(shard, f"{self.table.experience.owner}/{self._count}")

    async def _play(self, work: Any) -> bool:
        try:
            return await (self._proposer if self.role == "propose" else self._solver).play(work)
        finally:
            self.table.experience.put_down(name_of(work))

    async def _failed(self, work: Work | None, error: Exception) -> None:
        table = self.table
        table.tally.failed(type(error).__name__)
        table.logger.error("%s failed: %s", name_of(work) if work else "a question for work", clean(repr(error)))
        if isinstance(error, SandboxError):
            self._broken(f"the sandbox does not work any longer: {clean(str(error))}")
        if work is not None:
            with contextlib.suppress(*UNHEARD):
                await table.experience.lost(name_of(work), _tries_of(work))

    async def _beat(self, shard: int) -> None:
        """Tell a shard what is being worked on, whatever becomes of other shards."""
        actors, experience = self.table.config.actors, self.table.experience
        while True:
            await asyncio.sleep(actors.heartbeat_seconds)
            if shard == 0:
                self.take_stock()
            try:
                # Given up in time for another beat to come before the work is taken for abandoned.
                gone = await asyncio.wait_for(experience.renew(shard), actors.silence_seconds / 2)
            except Exception as error:
                await self._failed(None, error)
            else:
                self._lanes[shard].cancel(gone)


def name_of(work: Work) -> str:
    """The group that a piece of work is about."""
    return work.group.id if isinstance(work, ToAttempt) else work.group


def _tries_of(work: Work) -> int:
    """How often it had failed when it was given out."""
    return work.group.tries if isinstance(work, ToAttempt) else 0


def _shared(lanes: int, shards: int) -> list[int]:
    """Lanes for each shard, at least one."""
    return [max(1, lanes // shards + (shard < lanes % shards)) for shard in range(shards)]
