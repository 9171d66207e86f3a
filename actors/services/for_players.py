"""The services as proposers and solvers see them: asynchronous, and calls of many lanes put together into few.

      lane, lane, lane ── attempt ──► Gathered ── one call while the last one is on its way ──► shard
                      └── add, fetch, rate ──► Gathered, one a kind of call ──────────────────► shard

Every lane waits for the answer to its own pieces, so nothing is less safe for being sent together.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from typing import Any, Generic, TypeVar

from actors.services.calls import Service
from actors.services.records import Surplus
from actors.services.split import named, plain_name, shard_of_name
from azr.buffers import Estimate, shard_of
from azr.game.types import Cell, Role, Task
from azr.ledger.events import Rating
from azr.ledger.experience import Rated
from azr.ledger.ledger import Sample
from azr.ledger.work import ToAttempt, ToPropose, Work
from azr.staleness.admission import Refusal

Piece = TypeVar("Piece")

#: How long a first piece waits for others. Lanes end one after the other, and a call costs both its ends.
LINGER_SECONDS = 0.02


class Gathered(Generic[Piece]):
    """Sends pieces to one place: for a moment, and while a call is on its way, pieces gather and leave together."""

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
            await asyncio.sleep(LINGER_SECONDS)
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

    def __init__(self, shards: Sequence[Service], name: str) -> None:
        self.shards = tuple(shards)
        self.name = name
        self.owner = f"{name}@0"
        """The player in its present life; `hello` says which that is."""
        self._held: dict[str, bool] = {}
        """Groups that were granted and are not settled yet; False while they are being settled."""
        self._proposals = [Gathered(self._judge_at(shard)) for shard in self.shards]
        self._attempts = [Gathered(self._attempt_at(shard)) for shard in self.shards]
        self._replays = [Gathered(self._replay_at(shard)) for shard in self.shards]

    async def hello(self) -> None:
        """Begin: what an earlier life of this player held is given out again."""
        lives = [await shard.ask("hello", self.name) for shard in self.shards]
        self.owner = f"{self.name}@{sum(lives)}"

    async def next_work(
        self, shard: int, names: Sequence[str], roles: Collection[Role], dry: Collection[str], wait_seconds: float
    ) -> list[Work]:
        """Work from one shard; the service keeps the question while it has none, for as long as that."""
        service = self.shards[shard]
        answer: list[Work] = await service.ask(
            "next_work", self.owner, names, tuple(roles), tuple(dry), wait_seconds, wait_seconds=wait_seconds
        )
        for work in answer:
            if isinstance(work, ToAttempt):
                self._held[work.group.id] = True
            elif isinstance(work, ToPropose):
                self._held[work.group] = True
        return answer

    async def replay(self, group: str, task_type: str, address: str) -> Refusal | None:
        """Open a group of attempts at a task from the buffer; None when it may begin."""
        refusal = await self._replays[shard_of_name(group)].put((group, task_type, address))
        if refusal is not None:
            return Refusal(*refusal)
        self._held[group] = True
        return None

    async def judged(self, sample: Sample, address: str | None) -> None:
        """A proposal came in, with the address of the task that it became."""
        with self._settling(sample.group):
            await self._proposals[shard_of_name(sample.group)].put((sample, address))

    async def attempted(self, samples: Sequence[Sample], surplus: Surplus | None = None) -> list[Rated]:
        """Attempts of one group came in, and with them what was generated beyond; what is now known about its task."""
        group = samples[0].group
        with self._settling(group):
            rated: list[Rated] = await self._attempts[shard_of_name(group)].put((list(samples), surplus))
        return rated

    async def renew(self, shard: int) -> list[str]:
        """A sign of life for all that was granted and is not settled; returns what is no longer wanted.

        A group that is being settled is kept alive and never called unwanted: it may be ready when this is heard.
        """
        held = [group for group in self._held if shard_of_name(group) == shard]
        gone: list[str] = await self.shards[shard].ask("renew", self.owner, held)
        return [group for group in gone if self._held.get(group)]

    def put_down(self, group: str) -> None:
        """Nobody here works on it any more, however that came about; if it is not settled its lease runs out."""
        self._held.pop(group, None)

    async def lost(self, group: str, tries: int, *, blame: bool = True) -> None:
        """Work on a group failed: it is given out again, or dropped after too many tries.

        `tries` is how often it had failed when it was given to us: told again, or too late, this changes nothing.
        """
        with self._settling(group):
            await self._of(group).ask("lost", group, self.owner, tries, blame)

    async def drop(self, group: str, reason: str, wasted: Sequence[tuple[Cell, int, int]] = ()) -> None:
        """Drop a group whole, if it is still ours, and count what was generated for it: (cell, samples, tokens)."""
        with self._settling(group):
            await self._of(group).ask("drop", group, self.owner, reason, list(wasted), mark_again=True)

    @contextlib.contextmanager
    def _settling(self, group: str) -> Iterator[None]:
        """While the service is told what became of a group, and afterwards, it is nobody's to cancel."""
        if group in self._held:
            self._held[group] = False
        yield
        self._held.pop(group, None)

    def _of(self, group: str) -> Service:
        return self.shards[shard_of_name(group)]

    @staticmethod
    def _judge_at(shard: Service) -> Callable[[list[tuple[Sample, str | None]]], Awaitable[Any]]:
        async def send(proposals: list[tuple[Sample, str | None]]) -> Any:
            await shard.ask("judge_many", proposals)
            return [None] * len(proposals)

        return send

    def _replay_at(self, shard: Service) -> Callable[[list[tuple[str, str, str]]], Awaitable[Any]]:
        async def send(asked: list[tuple[str, str, str]]) -> Any:
            return await shard.ask("replay_many", asked, self.owner)

        return send

    def _attempt_at(self, shard: Service) -> Callable[[list[tuple[list[Sample], Surplus | None]]], Awaitable[Any]]:
        async def send(groups: list[tuple[list[Sample], Surplus | None]]) -> Any:
            return await shard.ask("attempt_many", groups, self.owner, mark_again=True)

        return send


class PlayerTasks:
    """The task buffers, for one player. Tasks are addressed as `shard.id`."""

    def __init__(self, shards: Sequence[Service]) -> None:
        self.shards = tuple(shards)
        self._calls: dict[tuple[Any, ...], Gathered[Any]] = {}
        """By shard, method and what else must be the same in all that goes into one call."""

    def address(self, task: Task) -> str:
        """How to find the task again."""
        return named(shard_of(task.normal_form, len(self.shards)), task.id)

    async def add(self, task: Task, *, out: bool) -> bool:
        """Take in a new task; False when the same is held. `out`: it is being attempted already."""
        shard = shard_of(task.normal_form, len(self.shards))

        async def send(tasks: list[Task]) -> list[bool]:
            added: list[bool] = await self.shards[shard].ask("add_many", tasks, out, mark_again=True)
            return added

        return bool(await self._gathered(send, shard, "add_many", out).put(task))

    async def draw(self, task_type: str, shard: int) -> Task | None:
        """A task to attempt, from this shard or else from any; None when none can be drawn."""
        for number in range(len(self.shards)):
            drawn = await self._draw((shard + number) % len(self.shards), task_type)
            if drawn is not None:
                return drawn
        return None

    async def _draw(self, shard: int, task_type: str) -> Task | None:
        async def send(asked: list[None]) -> list[Task | None]:
            drawn: list[Task] = await self.shards[shard].ask("draw", task_type, len(asked))
            return [*drawn, *[None] * (len(asked) - len(drawn))]

        drawn: Task | None = await self._gathered(send, shard, "draw", task_type).put(None)
        return drawn

    async def fetch(self, task_type: str, address: str) -> Task | None:
        """The task at an address; None when it has left."""
        shard = shard_of_name(address)

        async def send(task_ids: list[str]) -> list[Task | None]:
            held: list[Task | None] = await self.shards[shard].ask("fetch", task_type, task_ids)
            return held

        found: Task | None = await self._gathered(send, shard, "fetch", task_type).put(plain_name(address))
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

    async def let_go(self, task: Task) -> None:
        """Nobody can attempt the task, or be judged by it: it is not to come back."""
        service = self.shards[shard_of(task.normal_form, len(self.shards))]
        await service.ask("let_go", task.task_type, [task.id])

    async def rate(self, task_type: str, address: str, group: str, rating: Rating) -> None:
        """A group of attempts at a task came back; told again, because the answer was lost, it counts once."""
        shard = shard_of_name(address)

        async def send(estimates: list[Estimate]) -> list[None]:
            await self.shards[shard].ask("rate_many", task_type, estimates)
            return [None] * len(estimates)

        estimate = Estimate(plain_name(address), rating.correct, rating.attempts, rating.oldest.step, group)
        await self._gathered(send, shard, "rate_many", task_type).put(estimate)

    def _gathered(self, send: Callable[[list[Piece]], Awaitable[Sequence[Any]]], *key: Any) -> Gathered[Piece]:
        """What sends the pieces of this kind; `send` is the same for all of them."""
        return self._calls.setdefault(key, Gathered(send))
