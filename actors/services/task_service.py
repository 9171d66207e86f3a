"""A shard of the task service: hosts the buffers of `azr.journal.tasks`.

One Ray actor a shard, restarted by Ray; called by the clients in this package. Tasks live in the shard of their program
(`azr.buffers.sharding`), so that duplicates meet in one shard.

      proposers ── add · references ──► ┌──────────────────┐
      solvers ──── draw · tasks · rate ─► │ buffers by type  │ ── journal
      run ──────── advance · resume ────► └──────────────────┘

Nobody waits here but for the journal. Every call may be asked again after a restart; a task that is added again by the
caller who added it is recognised as his own and not as a duplicate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import numpy as np

from actors.services.host import Host, Place
from actors.services.records import ProcessReport, Standing
from azr.buffers import Estimate, Status, TaskBuffer
from azr.config.sections.buffers import BuffersConfig
from azr.game.types import Task, Version
from azr.journal.tasks import DurableTasks, Written


class Shelves(msgspec.Struct, frozen=True, kw_only=True):
    """What one shard of the task service holds."""

    shard: int
    task_types: tuple[str, ...]
    seed: int
    replay_share: float


class Stock(msgspec.Struct, kw_only=True):
    """What a shard of the task service reports."""

    buffers: dict[str, Status]
    step: int
    process: ProcessReport


class TaskShard:
    """The actor."""

    def __init__(self, place: Place, shelves: Shelves, buffers: BuffersConfig) -> None:
        self.shelves = shelves
        self.host = Host(place)
        self.tasks = DurableTasks(
            {
                kind: TaskBuffer(buffers, np.random.default_rng([shelves.seed, shelves.shard, number]))
                for number, kind in enumerate(shelves.task_types)
            },
            self.host.journal,
        )
        recovery = self.host.read(self.tasks.open)
        if recovery.torn_bytes:
            self.host.logger.warning("cut off %d bytes that were never acknowledged", recovery.torn_bytes)
        self.host.logger.info("%d records read back", recovery.records)
        self.host.open(lambda: None)

    async def ready(self) -> int:
        """How many tasks it holds; answers once the journal is read."""
        return await self.host.act(lambda: sum(map(len, self.tasks.buffers.values())))

    async def stands(self) -> Standing:
        """Where it stands."""
        return await self.host.act(lambda: Standing(self.tasks.reached, self.tasks.untouched))

    async def add_many(self, tasks: Sequence[Task], out: bool, again: bool) -> list[bool]:
        """Take in new tasks; False for duplicates. `out`: they are being attempted already.

        Asked `again`, after an answer that was lost, a task that is held just as it is given is the caller's own.
        """

        def act() -> list[bool]:
            own = [again and self._holds(task) for task in tasks]
            added = self.tasks.add_many(tasks, out=out)
            return [new or mine for new, mine in zip(added, own, strict=True)]

        return await self.host.act(act)

    async def draw(self, task_type: str, count: int) -> list[Task]:
        """Tasks to attempt, by priority; fewer when no more can be drawn."""
        return await self.host.act(lambda: self._buffer(task_type).draw(count, self.shelves.replay_share))

    async def references(self, task_types: Sequence[str], count: int) -> list[Task]:
        """Tasks to show a proposer, of these types in turn."""

        def act() -> list[Task]:
            shares = [(kind, count // len(task_types) + 1) for kind in task_types]
            return [task for kind, share in shares for task in self._buffer(kind).references(share)][:count]

        return await self.host.act(act)

    async def fetch(self, task_type: str, task_ids: Sequence[str]) -> list[Task | None]:
        """Tasks by their ids; None for those that left."""

        def act() -> list[Task | None]:
            buffer = self._buffer(task_type)
            return [buffer.task(task_id) if task_id in buffer else None for task_id in task_ids]

        return await self.host.act(act)

    async def give_back(self, task_type: str, task_ids: Sequence[str]) -> None:
        """Tasks drawn could not be attempted."""
        await self.host.act(lambda: self._buffer(task_type).give_back(task_ids))

    async def let_go(self, task_type: str, task_ids: Sequence[str]) -> None:
        """Tasks that nobody can attempt leave for good."""
        await self.host.act(lambda: self.tasks.let_go(task_type, task_ids))

    async def rate_many(self, task_type: str, estimates: Sequence[Estimate]) -> int:
        """Attempts came back; those of one group count once, however often they are told. Returns how many counted."""
        return await self.host.act(lambda: self.tasks.rate_many(task_type, estimates))

    async def advance(self, step: int) -> None:
        """The learner is at this step."""

        def act() -> None:
            self.tasks.advance(step)
            self.host.shorten(lambda: self.tasks.shorten(self.host.place.shorten_bytes))

        await self.host.act(act)

    async def resume(self, at: Version) -> None:
        """The learner went back to this step, and goes on under this lineage."""
        await self.host.act(lambda: self.tasks.resume(at))

    async def snapshot(self) -> bytes:
        """Everything, for a checkpoint."""
        return await self.host.act(lambda: msgspec.msgpack.encode(self.tasks.written()))

    async def restore(self, snapshot: bytes) -> None:
        """Take up from a checkpoint's snapshot."""
        written = msgspec.msgpack.decode(snapshot, type=Written)
        await self.host.act(lambda: self.tasks.restore(written))

    async def statistics(self) -> Stock:
        """What is held, and how the process is doing."""

        def act() -> Stock:
            return Stock(
                buffers={kind: buffer.status() for kind, buffer in self.tasks.buffers.items()},
                step=self.tasks.step,
                process=self.host.report(),
            )

        return await self.host.act(act)

    async def close(self) -> None:
        """Let go of the folder; nothing can be asked any more."""
        await asyncio.to_thread(self.host.close)

    def _buffer(self, task_type: str) -> TaskBuffer:
        try:
            return self.tasks.buffers[task_type]
        except KeyError:
            raise ValueError(
                f"no tasks of type {task_type} are kept; there are {', '.join(self.shelves.task_types)}"
            ) from None

    def _holds(self, task: Task) -> bool:
        buffer = self._buffer(task.task_type)
        return task.id in buffer and buffer.task(task.id) == task
