"""JSON lines in, JSON lines out, through a sandbox: what `azr exec`, `azr gate` and `azr verify` have in common.

Owns order, bounds and the errors of single lines; a command brings a `LineHandler` that says what a line means. Answers
are written in the order of the lines and as soon as they are known, so that a program at the other end of two pipes can
ask line by line, while a file of a million lines runs in the same memory as one of a thousand.

      reader thread ──► chunks of lines ──► event loop: a chunk's plans together, round by round ──► writer
       parses, waits      at most a window      plan ─► sandbox ─► verdict                        in line order:
       for input, room    of them is open       a bad line ─► an error object of its own          handler.answer

Who waits: the reader for input, and for room in the window; the loop for the sandbox, whose every job has its deadline;
the writer for whoever reads the output, and with it, through the window, the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import IO, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from azr.cli.line_reader import LONGEST_LINE_BYTES, Line, read_chunks
from azr.cli.window import Window
from azr.decoding import UNDECODABLE
from azr.game.plan import Plan, drive_together
from sandbox_wasm.protocol import Limits, Sandbox

#: Lines under way: among so many are enough for every worker to be busy when one in a hundred loops for ever and the
#: writer waits for it.
WINDOW_LINES = 2_048

#: Text under way, for files of long lines; a longer line still goes, alone.
WINDOW_BYTES = 64 << 20

#: What may come of the lines under way: a chunk counts for the most that its lines may bring until it is judged, then
#: for what they brought. A line of more inputs still goes, alone.
WINDOW_RESULT_BYTES = 2 << 30

#: What may come of one chunk: more than of 32 lines of one input each that two probes run by the default limits, so
#: that those still travel together. A line of many inputs has work enough for a round of its own.
CHUNK_RESULT_BYTES = 128 << 20

#: Bytes that an input's result may take for each character of its output: a value is three texts, of which one may hold
#: four bytes a character, and the two others four ASCII letters.
_RESULT_BYTES_A_CHARACTER = 12

Request = TypeVar("Request")
Verdict = TypeVar("Verdict")


class LineHandler(Protocol[Request, Verdict]):
    """What a line means to one command."""

    @property
    def request_type(self) -> type[Request]:
        """The line's form, a `msgspec.Struct`: fields it does not name are passed over."""
        ...

    def most_results(self, request: Request) -> int:
        """The most bytes of results that the line's plan may hold at a time (`result_bytes`); called in a thread."""
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


def result_bytes(inputs: int, limits: Limits) -> int:
    """The most bytes that the results of so many runs may take."""
    return inputs * limits.output_bytes * _RESULT_BYTES_A_CHARACTER


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


class _Read(NamedTuple, Generic[Request]):
    """Lines that travel together, as they were understood."""

    requests: list[Request | BadLine]
    size: int
    results: int


class _Answers(NamedTuple, Generic[Request, Verdict]):
    lines: list[_Judged[Request, Verdict] | BadLine]
    results: int


class _Chunk(NamedTuple, Generic[Request, Verdict]):
    size: int
    answers: asyncio.Task[_Answers[Request, Verdict]]


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
        self._measure = msgspec.msgpack.Encoder()
        self._window = Window(WINDOW_LINES, WINDOW_BYTES, WINDOW_RESULT_BYTES)
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
                answers = await chunk.answers
                self._write(answers.lines)
                self._tally.read_bytes += chunk.size
                if self._progress is not None:
                    self._progress(self._tally)
                self._window.leave(len(answers.lines), chunk.size, answers.results)
        finally:
            self._window.close()  # The tasks still under way, if any, are cancelled with the loop.
        return self._tally

    def _read(self, source: int, loop: asyncio.AbstractEventLoop) -> None:
        """The reader's thread: hand on chunks while there is room, and in the end why there are no more."""
        ending: BaseException | None = None
        with contextlib.suppress(RuntimeError):  # The loop was closed: nobody reads on.
            try:
                for lines in read_chunks(source):
                    for chunk in self._divided(lines):
                        if not self._window.enter(len(chunk.requests), chunk.size, chunk.results):
                            return
                        loop.call_soon_threadsafe(self._begin, chunk)
            except Exception as error:  # whoever waits for the next chunk would wait for ever
                ending = error
            loop.call_soon_threadsafe(self._underway.put_nowait, ending)

    def _divided(self, lines: list[Line]) -> Iterator[_Read[Request]]:
        """The lines understood, with no more of them together than `CHUNK_RESULT_BYTES` lets."""
        requests: list[Request | BadLine] = []
        size = results = 0
        for line in lines:
            if line.text is None or line.text.strip():
                request = self._understand(line)
                most = 0 if isinstance(request, BadLine) else self._handler.most_results(request)
                if requests and results + most > CHUNK_RESULT_BYTES:
                    yield _Read(requests, size, results)
                    requests, size, results = [], 0, 0
                requests.append(request)
                results += most
            size += line.length
        yield _Read(requests, size, results)

    def _begin(self, chunk: _Read[Request]) -> None:
        self._underway.put_nowait(_Chunk(chunk.size, asyncio.create_task(self._judge(chunk))))

    async def _judge(self, chunk: _Read[Request]) -> _Answers[Request, Verdict]:
        good = [request for request in chunk.requests if not isinstance(request, BadLine)]
        verdicts = await drive_together([self._handler.plan(request) for request in good], self._sandbox)
        brought = min(sum(len(self._measure.encode(verdict)) for verdict in verdicts), chunk.results)
        self._window.shrink(chunk.results - brought)
        told = iter(verdicts)
        lines = [one if isinstance(one, BadLine) else _Judged(one, next(told)) for one in chunk.requests]
        return _Answers(lines, brought)

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
