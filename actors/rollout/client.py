"""The client of the replicas: sends each request to the least busy one, and to another when that one dies.

Used by players, evaluation and benchmarks, on their own event loop; one client a process is enough for any number of
requests. It learns of replicas from the registry and keeps a connection to each that serves. While the registry is
away it goes on with those it knows.

      generate ──► least busy connection ──► replica ──► Generation
                      ▲      │ its process dies: the connection ends, at once
                      └──────┘ sent again, `attempts` times in all; then the request is called poisoned

A connection that ends is opened again, over and over, for as long as the registry says that the replica serves.
A request waits for a replica no longer than its deadline; `RolloutError` says for whom it waited.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Collection
from typing import Any

from actors.engine.records import GenerateRequest, Generation
from actors.keepalive import keep_alive
from actors.rollout.errors import RolloutError
from actors.rollout.wire import Failure, FailureKind, Kind, WireError, frame, read_frame
from actors.weights.records import Member
from azr.game import wire as records

logger = logging.getLogger(__name__)

#: How long one question to the registry stays open.
_WATCH_SECONDS = 20.0
#: Pause after the registry, or a replica, could not be reached, or a connection to one that serves ended.
_AGAIN_SECONDS = 0.2
_CONNECT_SECONDS = 10.0


class _GoneError(ConnectionError):
    """The replica went away with the request unanswered."""


class _ElsewhereError(RuntimeError):
    """The replica takes no requests now."""


class _Connection:
    """An open connection to one replica, and the calls that wait on it."""

    def __init__(self, member: Member, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.member = member
        self._writer = writer
        self._calls: dict[int, asyncio.Future[Generation]] = {}
        self._next = 0
        self.open = True
        self.resting = 0.0
        """Until when (monotonic) it is left alone because it sent a request elsewhere."""
        self._reading = asyncio.create_task(self._read(reader))
        writer.write(frame(0, Kind.HELLO, member.token.encode()))

    @classmethod
    async def to(cls, member: Member) -> _Connection:
        """Connect to a replica."""
        async with asyncio.timeout(_CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(member.address, member.port)
        keep_alive(writer)
        return cls(member, reader, writer)

    @property
    def busy(self) -> int:
        """Calls that wait on it."""
        return len(self._calls)

    async def ask(self, payload: bytes) -> Generation:
        """Send a request and wait for its answer; cancelled, it is taken out of the replica."""
        self._next += 1
        call = self._next
        answer = self._calls[call] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(frame(call, Kind.ASK, payload))
            generation: Generation = await answer
            return generation
        except asyncio.CancelledError:
            with contextlib.suppress(OSError, RuntimeError):
                self._writer.write(frame(call, Kind.CANCEL))
            raise
        finally:
            self._calls.pop(call, None)

    async def ended(self) -> None:
        """Wait until it is broken, by whomever."""
        await asyncio.wait([self._reading])

    def close(self) -> None:
        """Break it; calls that wait learn that the replica is gone."""
        self._reading.cancel()
        self._end()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                call, kind, payload = await read_frame(reader)
                waiting = self._calls.get(call)
                if waiting is None or waiting.done():
                    continue
                if kind is Kind.ANSWER:
                    waiting.set_result(records.decode(payload, Generation))
                elif kind is Kind.FAILURE:
                    waiting.set_exception(_error_of(records.decode(payload, Failure)))
        except (OSError, EOFError, WireError):
            pass
        finally:
            self._end()

    def _end(self) -> None:
        self.open = False
        self._writer.close()
        for waiting in self._calls.values():
            if not waiting.done():
                waiting.set_exception(_GoneError(self.member.name))


class RolloutClient:
    """Asks the replicas of one pool. Made in the process, and used on the event loop, that asks."""

    def __init__(self, registry: Any, *, pool: str = "shared", attempts: int = 4) -> None:
        self._registry = registry
        self._pool = pool
        self._attempts = attempts
        self._connections: dict[str, _Connection] = {}
        self._serving: dict[str, Member] = {}
        """Those that serve, as the registry said last."""
        self._kept: set[str] = set()
        """Those that somebody keeps a connection to, or tries to."""
        self._changed = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._closed = False
        self.retries = 0
        """Requests sent again after they failed at a replica, or with it. Those that it did not take do not count:
        while none takes any, each is offered several times a second."""

    async def generate(self, request: GenerateRequest, deadline: float) -> Generation:
        """The request's responses, within so many seconds; `RolloutError` says why there are none."""
        if self._watching is None and not self._closed:
            self._watching = asyncio.create_task(self._watch())
        payload = records.encode(request)
        asked: list[str] = []
        try:
            async with asyncio.timeout(deadline):
                return await self._try(request, payload, asked)
        except TimeoutError:
            whom = f"no answer from {asked[-1]}" if asked else f"no replica of pool {self._pool!r} was there"
            raise RolloutError("deadline", f"request {request.id}: {whom} within {deadline:g} s") from None

    async def ready(self, count: int, deadline: float) -> None:
        """Wait until so many replicas can be asked."""
        if self._watching is None and not self._closed:
            self._watching = asyncio.create_task(self._watch())
        try:
            async with asyncio.timeout(deadline):
                while sum(each.open for each in self._connections.values()) < count:
                    await self._change()
        except TimeoutError:
            names = ", ".join(self._connections) or "none"
            raise RolloutError(
                "deadline", f"{count} replicas of pool {self._pool!r} were not there within {deadline:g} s, but {names}"
            ) from None

    @property
    def replicas(self) -> dict[str, int]:
        """Replicas that can be asked, with the calls that wait on each."""
        return {name: each.busy for name, each in self._connections.items() if each.open}

    async def close(self) -> None:
        """Break all connections; calls that wait end with an error."""
        self._closed = True
        for task in (*self._background, *([self._watching] if self._watching else [])):
            task.cancel()
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
        self._changed.set()

    async def _try(self, request: GenerateRequest, payload: bytes, asked: list[str]) -> Generation:
        deaths: list[str] = []
        failed_at: set[str] = set()
        while True:
            connection = await self._choose(failed_at)
            name = connection.member.name
            asked.append(name)
            try:
                return await connection.ask(payload)
            except _GoneError:
                deaths.append(f"{name} went away")
            except _DiedError as error:
                deaths.append(str(error))
                connection.resting = time.monotonic() + _AGAIN_SECONDS
            except _FailedError as error:
                deaths.append(str(error))
            except _ElsewhereError:
                connection.resting = time.monotonic() + _AGAIN_SECONDS
                continue
            except _RefusedError as error:
                raise RolloutError("refused", f"request {request.id}: {error}") from error
            if len(deaths) >= self._attempts:
                raise RolloutError("poisoned", f"request {request.id} failed {len(deaths)} times: {'; '.join(deaths)}")
            self.retries += 1
            failed_at.add(name)

    async def _choose(self, failed_at: Collection[str]) -> _Connection:
        """The least busy replica, one at which the request has not failed if it can be: one that fails at once is never
        busy. Waits while there is none."""
        while True:
            if self._closed:
                raise RolloutError("closed", "the client was closed")
            now = time.monotonic()
            open_ones = [each for each in self._connections.values() if each.open]
            awake = [each for each in open_ones if each.resting <= now]
            if awake:
                return min(awake, key=lambda each: (each.member.name in failed_at, each.busy))
            await self._change(_AGAIN_SECONDS if open_ones else _WATCH_SECONDS)

    async def _change(self, seconds: float = _WATCH_SECONDS) -> None:
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)

    async def _watch(self) -> None:
        """Follow what the registry says of the pool's replicas."""
        import ray

        after, told = -1, False
        while True:
            try:
                after, members = await self._registry.watch_members.remote(self._pool, after, _WATCH_SECONDS)
            except ray.exceptions.RayError as error:
                if not told:
                    logger.warning("the registry cannot be asked for replicas: %s", error)
                after, told = -1, True
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            told = False
            self._follow(members)

    def _follow(self, members: list[Member]) -> None:
        serving = {member.name: member for member in members if member.state == "serving" and member.port}
        for name in self._connections.keys() - {member.name for member in members}:
            # What still waits there may be answered (a replica that is leaving finishes); its end closes it otherwise.
            if not self._connections[name].busy:
                self._connections.pop(name).close()
        self._serving = serving
        for name in serving.keys() - self._kept:
            self._kept.add(name)
            task = asyncio.create_task(self._keep(name))
            self._background.add(task)
            task.add_done_callback(self._background.discard)
        for name, connection in self._connections.items():
            connection.resting = 0.0 if name in serving else float("inf")
        self._changed.set()

    async def _keep(self, name: str) -> None:
        """Hold a connection to a replica for as long as it serves. One may end, or fail to come, while the replica
        lives: the registry, whose own connection holds, says nothing new of it then."""
        told = False
        try:
            while member := self._serving.get(name):
                try:
                    connection = await _Connection.to(member)
                except OSError as error:
                    if not told:
                        logger.warning("replica %s cannot be reached: %s", name, error)
                    told = True
                else:
                    told = False
                    await self._hold(connection)
                await asyncio.sleep(_AGAIN_SECONDS)
        finally:
            self._kept.discard(name)

    async def _hold(self, connection: _Connection) -> None:
        """Have a connection used until it ends."""
        name = connection.member.name
        if name not in self._serving:  # it ceased to as the connection came
            connection.close()
            return
        self._connections[name] = connection
        self._changed.set()
        await connection.ended()


class _RefusedError(RuntimeError):
    """Nobody can ever answer it."""


class _DiedError(RuntimeError):
    """The engine died with it."""


class _FailedError(RuntimeError):
    """It went wrong at a replica that is still there."""


def _error_of(failure: Failure) -> Exception:
    kinds: dict[str, type[Exception]] = {
        FailureKind.ELSEWHERE.value: _ElsewhereError,
        FailureKind.DIED.value: _DiedError,
        FailureKind.REFUSED.value: _RefusedError,
    }
    return kinds.get(failure.kind, _FailedError)(failure.message)
