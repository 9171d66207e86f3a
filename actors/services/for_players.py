"""The services as proposers and solvers see them: asynchronous, and calls of many lanes put together into few.

      lane, lane, lane ── attempt ──► Gathered ── one call while the last one is on its way ──► shard

Every lane waits for the answer to its own samples, so nothing is less safe for being sent together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Generic, TypeVar

from actors.services.calls import Service
from actors.services.split import named, plain_name, shard_of_name
from azr.buffers import Estimate, shard_of
from azr.game.types import Cell, Role, Task
from azr.ledger.experience import Rated
from azr.ledger.ledger import Sample
from azr.ledger.work import Work
from azr.staleness.admission import Refusal

Piece = TypeVar("Piece")


class Gathered(Generic[Piece]):
    """Sends pieces to one place: while a call is on its way the next pieces gather, and leave together."""

    def __init__(self, send: Callable[[list[Piece]], Awaitable[Sequence[Any]]]) -> None:
        """`send` returns one answer for each piece."""
        self._send = send
        self._waiting: list[tuple[Piece, asyncio.Future[Any]]] = []
        self._sender: asyncio.Task[None] | None = None

    async def put(self, piece: Piece) -> Any:
        """Send a piece; returns the answer to it."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((piece, answer))
        if self._sender is None:
            self._sender = asyncio.create_task(self._run(), name="azr-gathered")
        return await answer

    async def _run(self) -> None:
        try:
            await asyncio.sleep(0)  # whoever is ready at the same moment comes along
            while self._waiting:
                leaving, self._waiting = self._waiting, []
                try:
                    results = await self._send([piece for piece, _ in leaving])
                except BaseException as error:
                    _fail(leaving, error)
                    if not isinstance(error, Exception):
                        raise
                    continue
                for (_, answer), result in zip(leaving, results, strict=True):
                    if not answer.done():
                        answer.set_result(result)
        finally:
            self._sender = None


def _fail(leaving: Sequence[tuple[Any, asyncio.Future[Any]]], error: BaseException) -> None:
    for _, answer in leaving:
        if not answer.done():
            answer.set_exception(error)


class PlayerExperience:
    """The experience, for one player."""

    def __init__(self, shards: Sequence[Service], owner: str) -> None:
        self.shards = tuple(shards)
        self.owner = owner
        self._proposals = [Gathered(self._judge_at(shard)) for shard in self.shards]
        self._attempts = [Gathered(self._attempt_at(shard)) for shard in self.shards]

    async def hello(self) -> None:
        """Begin: what an earlier life of this player held is given out again."""
        for shard in self.shards:
            await shard.ask("hello", self.owner)

    async def next_work(
        self, shard: int, names: Sequence[str], roles: Collection[Role], dry: Collection[str], wait_seconds: float
    ) -> list[Work]:
        """Work from one shard; the service keeps the question while it has none, for as long as that."""
        service = self.shards[shard]
        answer: list[Work] = await service.ask(
            "next_work", self.owner, names, tuple(roles), tuple(dry), wait_seconds, wait_seconds=wait_seconds
        )
        return answer

    async def replay(self, group: str, task_type: str, address: str) -> Refusal | None:
        """Open a group of attempts at a task from the buffer; None when it may begin."""
        (refusal,) = await self._of(group).ask("replay_many", [(group, task_type, address)], self.owner)
        return None if refusal is None else Refusal(*refusal)

    async def judged(self, sample: Sample, address: str | None) -> None:
        """A proposal came in, with the address of the task that it became."""
        await self._proposals[shard_of_name(sample.group)].put((sample, address))

    async def attempted(self, samples: Sequence[Sample]) -> list[Rated]:
        """Attempts of one group came in; what is now known about its task."""
        rated: list[Rated] = await self._attempts[shard_of_name(samples[0].group)].put(list(samples))
        return rated

    async def renew(self, shard: int, groups: Sequence[str]) -> list[str]:
        """A sign of life; returns the groups that are no longer wanted."""
        gone: list[str] = await self.shards[shard].ask("renew", self.owner, list(groups))
        return gone

    async def lost(self, group: str, *, blame: bool = True) -> None:
        """Work on a group failed: it is given out again, or dropped after too many tries."""
        await self._of(group).ask("lost", [group], blame)

    async def drop(self, group: str, reason: str, wasted: Sequence[tuple[Cell, int, int]] = ()) -> None:
        """Drop a group whole, and count what was generated for it: (cell, samples, tokens)."""
        await self._of(group).ask("drop", group, reason, list(wasted))

    async def wasted(self, group: str, cell: Cell, samples: int, tokens: int, reason: str) -> None:
        """Count what was generated for a group beyond its samples."""
        await self._of(group).ask("wasted", cell, samples, tokens, reason)

    def _of(self, group: str) -> Service:
        return self.shards[shard_of_name(group)]

    @staticmethod
    def _judge_at(shard: Service) -> Callable[[list[tuple[Sample, str | None]]], Awaitable[Any]]:
        async def send(proposals: list[tuple[Sample, str | None]]) -> Any:
            await shard.ask("judge_many", proposals)
            return [None] * len(proposals)

        return send

    @staticmethod
    def _attempt_at(shard: Service) -> Callable[[list[list[Sample]]], Awaitable[Any]]:
        async def send(groups: list[list[Sample]]) -> Any:
            return await shard.ask("attempt_many", groups)

        return send


class PlayerTasks:
    """The task buffers, for one player. Tasks are addressed as `shard.id`."""

    def __init__(self, shards: Sequence[Service]) -> None:
        self.shards = tuple(shards)

    def address(self, task: Task) -> str:
        """How to find the task again."""
        return named(shard_of(task.normal_form, len(self.shards)), task.id)

    async def add(self, task: Task, *, out: bool) -> bool:
        """Take in a new task; False when the same is held. `out`: it is being attempted already."""
        service = self.shards[shard_of(task.normal_form, len(self.shards))]
        (new,) = await service.ask("add_many", [task], out, mark_again=True)
        return bool(new)

    async def draw(self, task_type: str, shard: int) -> Task | None:
        """A task to attempt, from this shard or else from any; None when none can be drawn."""
        for number in range(len(self.shards)):
            service = self.shards[(shard + number) % len(self.shards)]
            drawn: list[Task] = await service.ask("draw", task_type, 1)
            if drawn:
                return drawn[0]
        return None

    async def fetch(self, task_type: str, address: str) -> Task | None:
        """The task at an address; None when it has left."""
        (task,) = await self.shards[shard_of_name(address)].ask("fetch", task_type, [plain_name(address)])
        found: Task | None = task
        return found

    async def references(self, task_types: Sequence[str], count: int, shard: int) -> list[Task]:
        """Tasks to show a proposer, from this shard or, where it has too few, from others as well."""
        shown: list[Task] = []
        for number in range(len(self.shards)):
            if len(shown) >= count:
                break
            service = self.shards[(shard + number) % len(self.shards)]
            shown += await service.ask("references", list(task_types), count - len(shown))
        return shown

    async def give_back(self, task: Task) -> None:
        """A task drawn could not be attempted."""
        service = self.shards[shard_of(task.normal_form, len(self.shards))]
        await service.ask("give_back", task.task_type, [task.id])

    async def rate(self, task_type: str, address: str, correct: int, attempts: int, step: int) -> None:
        """Attempts at a task came back."""
        estimate = Estimate(plain_name(address), correct, attempts, step)
        await self.shards[shard_of_name(address)].ask("rate_many", task_type, [estimate])
