"""Bounded lanes: so many pieces of work under way at once and no more, the next asked for as soon as a lane is free.

      ask(free lanes) ──► work, work, …          (the service keeps the question while it has nothing: back-pressure)
           ▲                 │
           │ gather          ▼
           └── free ◄── lane: do(work) ──✕──► failed(work, error)      nothing fails unheard

The service answers with the first piece that it has. While few lanes are free, and after an answer with fewer pieces
than there were free ones, the next question waits a moment, so that pieces come in handfuls: asked for one by one they
cost a call each, and leave half empty an engine whose step costs the same for few sequences as for many.

One `Lanes` a shard and role. Who waits: `run` for the service, for `poll_seconds` a question; and while all lanes are
busy for the first to be free, which each is within the deadlines of what it does.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Work = TypeVar("Work")

#: After a question that failed, and after work that failed or came to nothing: what does so at once must not do it a
#: thousand times a second.
REST_SECONDS = 0.5

#: Before a question for few lanes, for more to come free, and after an answer that left some free, for more work to
#: gather. Short beside any generation, long beside a call.
GATHER_SECONDS = 0.03

#: Fewer free lanes than this share of all are few.
FEW = 0.25


class Lanes(Generic[Work]):
    """Asks for work and does it."""

    def __init__(
        self,
        count: int,
        *,
        ask: Callable[[int], Awaitable[Sequence[Work]]],
        do: Callable[[Work], Awaitable[bool]],
        name: Callable[[Work], str],
        failed: Callable[[Work | None, Exception], Awaitable[None]],
    ) -> None:
        """`do` says whether anything came of the work, or its lane is to rest. `name` tells pieces of work apart.
        `failed` hears of every error, of a question's with no work."""
        self.count = count
        self._ask, self._do, self._name, self._failed = ask, do, name, failed
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._works: dict[str, Work] = {}
        """What is being done, by the same names."""
        self._resting = 0
        self._free = asyncio.Event()
        self._stop = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self.unbegun: list[Work] = []
        """Work that came in answer to a question on its way when all was stopped: nobody began it."""
        self.waited_seconds = 0.0
        """Spent waiting for work with a lane free, that is for admission, whether some came or none."""

    @property
    def under_way(self) -> list[str]:
        """The names of what is being done."""
        return list(self._busy)

    @property
    def stopping(self) -> bool:
        """Whether nothing more is begun."""
        return self._stop.is_set()

    async def run(self) -> None:
        """Until stopped."""
        self._ended.clear()
        try:
            await self._run()
        finally:
            self._ended.set()

    async def _run(self) -> None:
        while not self._stop.is_set():
            free = self.count - len(self._busy) - self._resting
            if free <= 0:
                self._free.clear()
                await self._free.wait()
                continue
            if free < FEW * self.count:
                await self._pause(GATHER_SECONDS)
                if self.stopping:
                    return
                free = self.count - len(self._busy) - self._resting
            began = time.monotonic()
            try:
                found = await self._ask(free)
            except Exception as error:
                await self._failed(None, error)
                await self._pause(REST_SECONDS)
                continue
            self.waited_seconds += time.monotonic() - began
            if self.stopping:
                self.unbegun += found
                return
            begun = [self._begin(work) for work in found]
            if found and not any(begun):  # nothing but what is being done already
                await self._pause(REST_SECONDS)
            elif 0 < len(found) < free:
                await self._pause(GATHER_SECONDS)

    async def _pause(self, seconds: float) -> None:
        """Ask nothing for so long, or until all is stopped."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    def cancel(self, names: Sequence[str]) -> None:
        """Give up work that is no longer wanted."""
        for name in names:
            if (task := self._busy.get(name)) is not None:
                task.cancel()

    async def stop(self, deadline_seconds: float) -> list[Work]:
        """Begin nothing more and wait for what is under way; returns what was given up at the deadline."""
        self._stop.set()
        self._free.set()
        began = time.monotonic()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), deadline_seconds)
        if self._busy:
            left = max(0.0, began + deadline_seconds - time.monotonic())
            await asyncio.wait(self._busy.values(), timeout=left)
        given_up = list(self._works.values())
        self.cancel(self.under_way)
        return given_up

    def _begin(self, work: Work) -> bool:
        """Give the work a lane, unless it is being done: given twice, for an answer that was lost."""
        name = self._name(work)
        if name in self._busy:
            return False
        task = asyncio.create_task(self._lane(work), name=f"azr-lane-{name}")
        self._busy[name], self._works[name] = task, work
        task.add_done_callback(lambda _: self._end(name))
        return True

    async def _lane(self, work: Work) -> None:
        try:
            fruitful = await self._do(work)
        except Exception as error:
            await self._failed(work, error)
            fruitful = False
        if not fruitful:
            # The lane rests, but not under this name: the same work may be given out again at once.
            self._resting += 1
            asyncio.get_running_loop().call_later(REST_SECONDS, self._rested)

    def _rested(self) -> None:
        self._resting -= 1
        self._free.set()

    def _end(self, name: str) -> None:
        self._busy.pop(name, None)
        self._works.pop(name, None)
        self._free.set()
