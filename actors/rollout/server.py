"""Where a replica answers requests: a TCP port, many requests on each connection at a time.

Requests do not go through Serve's own router. It keeps sending to a replica that is dying until three health checks
have failed, probes queues before it chooses, and knows nothing of standbys; a connection of one's own ends the moment
the process does. See docs/decisions/rollout-deployment.md.

Bounded by `max_requests` unanswered at a time; who asks beyond that is sent elsewhere at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import Awaitable, Callable

from actors.engine.errors import EngineDiedError, EngineError, NoEngineError, RefusedRequestError
from actors.engine.records import GenerateRequest, Generation
from actors.keepalive import keep_alive
from actors.rollout.wire import LONGEST_HELLO, Failure, FailureKind, Kind, WireError, frame, read_frame
from azr.errors import AzrError
from azr.game import wire as records


class Server:
    """Answers requests by `generate`; made by `Server.start`."""

    def __init__(self, generate: Callable[[GenerateRequest], Awaitable[Generation]], token: str, limit: int) -> None:
        self._generate = generate
        self._token = token
        self._limit = limit
        self._server: asyncio.Server | None = None
        self._asked: set[asyncio.Task[None]] = set()
        self._connections: set[asyncio.StreamWriter] = set()
        self.refusing = ""
        """Why no request is taken now; empty while they are."""

    @classmethod
    async def start(
        cls, generate: Callable[[GenerateRequest], Awaitable[Generation]], *, token: str, limit: int, address: str
    ) -> Server:
        """Listen on a free port of `address`."""
        server = cls(generate, token, limit)
        server._server = await asyncio.start_server(server._serve, address, 0)
        return server

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def unanswered(self) -> int:
        """Requests taken and not answered yet."""
        return len(self._asked)

    async def drain(self, seconds: float) -> int:
        """Take no more requests and wait for those taken; the answer: how many were left when the time was up."""
        self.refusing = self.refusing or "it is being taken away"
        if self._asked:
            await asyncio.wait(tuple(self._asked), timeout=seconds)
        return self.unanswered

    async def close(self) -> None:
        """Break all connections."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._asked):
            task.cancel()
        for writer in tuple(self._connections):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self._connections.add(writer)
        tasks: dict[int, asyncio.Task[None]] = {}
        try:
            keep_alive(writer)
            if not await self._greeted(reader):
                return
            while True:
                call, kind, payload = await read_frame(reader)
                if kind is Kind.ASK:
                    self._take(call, payload, writer, tasks)
                elif kind is Kind.CANCEL and call in tasks:
                    tasks[call].cancel()
        except (OSError, EOFError, WireError):
            pass  # the client is gone, or never was one of ours
        finally:
            self._connections.discard(writer)
            for task in tuple(tasks.values()):
                task.cancel()
            writer.close()

    async def _greeted(self, reader: asyncio.StreamReader) -> bool:
        """Whether the other side says the token. The registry says nothing, and only waits for the connection's end."""
        _, kind, payload = await read_frame(reader, LONGEST_HELLO)
        return kind is Kind.HELLO and hmac.compare_digest(payload, self._token.encode())

    def _take(
        self, call: int, payload: bytes, writer: asyncio.StreamWriter, tasks: dict[int, asyncio.Task[None]]
    ) -> None:
        refusing = self.refusing or ("it holds all the requests it may" if len(self._asked) >= self._limit else "")
        if refusing:
            _send(writer, call, Kind.FAILURE, _failure(FailureKind.ELSEWHERE, refusing))
            return
        task = asyncio.create_task(self._answer(call, payload, writer))
        tasks[call] = task
        self._asked.add(task)

        def forget(done: asyncio.Task[None]) -> None:
            tasks.pop(call, None)
            self._asked.discard(done)

        task.add_done_callback(forget)

    async def _answer(self, call: int, payload: bytes, writer: asyncio.StreamWriter) -> None:
        try:
            generation = await self._generate(records.decode(payload, GenerateRequest))
            kind, answer = Kind.ANSWER, records.encode(generation)
        except (RefusedRequestError, AzrError) as error:
            kind, answer = Kind.FAILURE, _failure(FailureKind.REFUSED, str(error))
        except EngineDiedError as error:
            kind, answer = Kind.FAILURE, _failure(FailureKind.DIED, str(error))
        except NoEngineError as error:
            kind, answer = Kind.FAILURE, _failure(FailureKind.ELSEWHERE, str(error))
        except EngineError as error:
            kind, answer = Kind.FAILURE, _failure(FailureKind.FAILED, str(error))
        except asyncio.CancelledError:
            return
        except Exception as error:  # a defect, told to the caller rather than to nobody
            kind, answer = Kind.FAILURE, _failure(FailureKind.FAILED, f"{type(error).__name__}: {error}")
        _send(writer, call, kind, answer)


def _failure(kind: FailureKind, message: str) -> bytes:
    return records.encode(Failure(kind.value, message))


def _send(writer: asyncio.StreamWriter, call: int, kind: Kind, payload: bytes) -> None:
    with contextlib.suppress(OSError, RuntimeError):  # who asked is gone
        writer.write(frame(call, kind, payload))
