"""JSON lines in, JSON lines out, through a sandbox: what `azr exec`, `azr gate` and `azr verify` have in common.

Owns order, bounds and the errors of single lines; a command brings a `LineHandler` that says what a line means. Answers
are written in the order of the lines and as soon as they are known, so that a program at the other end of two pipes can
ask line by line, while a file of a million lines runs in the same memory as one of a thousand.

      reader thread ──► chunks of lines ──► event loop: a chunk's plans together, round by round ──► writer
       waits for input    at most a window      parse ─► plan ─► sandbox ─► verdict               in line order:
       and for room       of them is open       a bad line ─► an error object of its own          handler.answer

Who waits: the reader for input, and for room in the window; the loop for the sandbox, whose every job has its deadline;
the writer for whoever reads the output, and with it, through the window, the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import IO, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from azr.cli.line_reader import LONGEST_LINE_BYTES, Line, Room, read_chunks
from azr.decoding import UNDECODABLE
from azr.game.plan import Plan, drive_together
from sandbox_wasm.protocol import Sandbox

#: Chunks (of at most 32 lines) under way: among 2,048 lines are enough for every worker to be busy when one in a
#: hundred loops for ever and the writer waits for it.
WINDOW_CHUNKS = 64

#: Text under way, for files of long lines; a longer line still goes, alone.
WINDOW_BYTES = 64 << 20

Request = TypeVar("Request")
Verdict = TypeVar("Verdict")


class LineHandler(Protocol[Request, Verdict]):
    """What a line means to one command."""

    @property
    def request_type(self) -> type[Request]:
        """The line's form, a `msgspec.Struct`: fields it does not name are passed over."""
        ...

    def plan(self, request: Request) -> Plan[Verdict]:
        """The sandbox work that the line asks for. Called in no particular order."""
        ...

    def answer(self, request: Request, verdict: Verdict) -> object:
        """What is written, as a struct or dict. Called in the order of the lines, so it may keep state."""
        ...


class Tally(msgspec.Struct):
    """What came in and what went out."""

    lines: int = 0
    """Lines answered, bad ones included; empty lines are passed over."""
    bad_lines: int = 0
    read_bytes: int = 0


class BadLine(msgspec.Struct):
    """The answer to a line that cannot be understood."""

    id: msgspec.Raw
    line: int
    error: str


def answer_lines(
    source: int,
    sink: IO[bytes],
    handler: LineHandler[Request, Verdict],
    sandbox: Sandbox,
    progress: Callable[[Tally], None] | None = None,
) -> Tally:
    """Answer every line read from a file descriptor; returns when the input has ended and everything is written."""
    return asyncio.run(_Stream(sink, handler, sandbox, progress).run(source))


class _Judged(NamedTuple, Generic[Request, Verdict]):
    request: Request
    verdict: Verdict


class _Chunk(NamedTuple, Generic[Request, Verdict]):
    size: int
    lines: asyncio.Task[list[_Judged[Request, Verdict] | BadLine]]


class _Stream(Generic[Request, Verdict]):
    """One input on its way to one output."""

    def __init__(
        self,
        sink: IO[bytes],
        handler: LineHandler[Request, Verdict],
        sandbox: Sandbox,
        progress: Callable[[Tally], None] | None,
    ) -> None:
        self._sink = sink
        self._handler = handler
        self._sandbox = sandbox
        self._progress = progress
        self._decoder: msgspec.json.Decoder[Request] = msgspec.json.Decoder(handler.request_type)
        self._encoder = msgspec.json.Encoder()
        self._room = Room(WINDOW_CHUNKS, WINDOW_BYTES)
        self._tally = Tally()
        self._underway: asyncio.Queue[_Chunk[Request, Verdict] | BaseException | None] = asyncio.Queue()

    async def run(self, source: int) -> Tally:
        """Read, judge and write until the input ends."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(source, loop), name="azr-line-reader", daemon=True).start()
        chunk: _Chunk[Request, Verdict] | BaseException | None
        try:
            while (chunk := await self._underway.get()) is not None:
                if isinstance(chunk, BaseException):
                    raise chunk
                self._write(await chunk.lines)
                self._tally.read_bytes += chunk.size
                if self._progress is not None:
                    self._progress(self._tally)
                self._room.leave(chunk.size)
        finally:
            self._room.close()  # The tasks still under way, if any, are cancelled with the loop.
        return self._tally

    def _read(self, source: int, loop: asyncio.AbstractEventLoop) -> None:
        """The reader's thread: hand on chunks while there is room, and in the end why there are no more."""
        ending: BaseException | None = None
        with contextlib.suppress(RuntimeError):  # The loop was closed: nobody reads on.
            try:
                for lines in read_chunks(source):
                    size = sum(line.length for line in lines)
                    if not self._room.enter(size):
                        return
                    loop.call_soon_threadsafe(self._begin, lines, size)
            except OSError as error:
                ending = error
            loop.call_soon_threadsafe(self._underway.put_nowait, ending)

    def _begin(self, lines: list[Line], size: int) -> None:
        self._underway.put_nowait(_Chunk(size, asyncio.create_task(self._judge(lines))))

    async def _judge(self, lines: list[Line]) -> list[_Judged[Request, Verdict] | BadLine]:
        requests = [self._understand(line) for line in lines if line.text is None or line.text.strip()]
        good = [request for request in requests if not isinstance(request, BadLine)]
        verdicts = iter(await drive_together([self._handler.plan(request) for request in good], self._sandbox))
        return [request if isinstance(request, BadLine) else _Judged(request, next(verdicts)) for request in requests]

    def _understand(self, line: Line) -> Request | BadLine:
        if line.text is None:
            error = f"a line of {line.length:,} bytes; the longest that is read has {LONGEST_LINE_BYTES:,}"
            return BadLine(_NO_ID, line.number, error)
        try:
            return self._decoder.decode(line.text.decode())  # bytes of an id would be answered as they came
        except UNDECODABLE as error:
            return BadLine(_id_of(line.text), line.number, str(error) or type(error).__name__)

    def _write(self, judged: list[_Judged[Request, Verdict] | BadLine]) -> None:
        written = bytearray()
        for line in judged:
            if isinstance(line, BadLine):
                self._tally.bad_lines += 1
                answer: object = line
            else:
                answer = self._handler.answer(line.request, line.verdict)
            self._encoder.encode_into(answer, written, -1)
            written += b"\n"
        self._tally.lines += len(judged)
        self._sink.write(written)
        self._sink.flush()


class _Named(msgspec.Struct):
    id: msgspec.Raw = msgspec.Raw(b"null")


_NO_ID = msgspec.Raw(b"null")


def _id_of(text: bytes) -> msgspec.Raw:
    """The line's id, if it can be told although the rest cannot be understood."""
    try:
        found = msgspec.json.decode(text, type=_Named).id
        bytes(found).decode()
        return found
    except UNDECODABLE:
        return _NO_ID
