"""Lines on their way: numbered, bounded, in order, answered as they come, each mistake by itself."""

from __future__ import annotations

import asyncio
import io
import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from azr.cli import line_reader, lines
from azr.cli.line_reader import CHUNK_LINES, LONGEST_LINE_BYTES, Line, read_chunks
from azr.cli.lines import answer_lines
from azr.game.plan import Plan
from sandbox_wasm.pool import open_sandbox
from sandbox_wasm.protocol import (
    Job,
    JobResult,
    Limits,
    LiteralJob,
    LiteralResult,
    Outcome,
    Sandbox,
    Value,
)


class Question(msgspec.Struct):
    """A line that asks for two readings, one after the other."""

    text: str
    id: int = 0


class Reader:
    """Reads the text, then reads what it was told, and says how many lines it answered before."""

    request_type = Question

    def __init__(self) -> None:
        self.answered = 0

    def most_results(self, request: Question) -> int:
        """Next to nothing."""
        return 100

    def plan(self, request: Question) -> Plan[str]:
        """Two rounds."""
        text = request.text
        for _ in range(2):
            (result,) = yield (LiteralJob(texts=(text,)),)
            assert isinstance(result, LiteralResult)
            value = result.outcomes[0].value
            text = value.literal if value is not None else ""
        return text

    def answer(self, request: Question, verdict: str) -> object:
        """In the order of the lines, so the count is the line's place."""
        self.answered += 1
        return {"id": request.id, "text": verdict, "place": self.answered}


def piped(data: bytes) -> int:
    """A descriptor from which the data can be read, fed by a thread, so that it may be longer than a pipe holds."""
    reading, writing = os.pipe()

    def feed() -> None:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(data)

    threading.Thread(target=feed, daemon=True).start()
    return reading


def read_all(data: bytes) -> list[list[Line]]:
    descriptor = piped(data)
    try:
        return list(read_chunks(descriptor))
    finally:
        os.close(descriptor)


@pytest.fixture(scope="module")
def process_sandbox() -> Iterator[Sandbox]:
    with open_sandbox("process", 1) as sandbox:
        yield sandbox


def answers_to(data: bytes, sandbox: Sandbox | Echo, reader: Reader | None = None) -> list[dict[str, object]]:
    sink = io.BytesIO()
    descriptor = piped(data)
    try:
        answer_lines(descriptor, sink, reader or Reader(), cast(Sandbox, sandbox))
    finally:
        os.close(descriptor)
    return [json.loads(line) for line in sink.getvalue().splitlines()]


@given(st.lists(st.binary(max_size=20).map(lambda text: text.replace(b"\n", b"")), max_size=100), st.booleans())
def test_lines_are_numbered_and_cut_as_split_would(lines: list[bytes], ended: bool) -> None:
    data = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    expected = data.split(b"\n")
    expected = expected[:-1] if expected[-1] == b"" else expected
    found = [line for chunk in read_all(data) for line in chunk]
    assert [(line.number, line.text) for line in found] == list(enumerate(expected, start=1))


def test_no_chunk_is_longer_than_it_may_be() -> None:
    chunks = read_all(b"x\n" * 1000)
    assert max(len(chunk) for chunk in chunks) <= CHUNK_LINES
    assert sum(len(chunk) for chunk in chunks) == 1000


def test_a_line_too_long_to_keep_is_told_and_the_next_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_reader, "LONGEST_LINE_BYTES", 1000)
    (chunk,) = [[line for chunk in read_all(b"a\n" + b"x" * 1_000_000 + b"\nb\n") for line in chunk]]
    assert [(line.number, line.text) for line in chunk] == [(1, b"a"), (2, None), (3, b"b")]
    assert chunk[1].length == 1_000_001


def test_answers_come_in_order_and_may_depend_on_it(process_sandbox: Sandbox) -> None:
    lines = [json.dumps({"id": k, "text": f"[{k}]", "unknown": [1, {}]}) for k in range(100)]
    answers = answers_to("\n".join(lines).encode(), process_sandbox)
    assert answers == [{"id": k, "text": f"[{k}]", "place": k + 1} for k in range(100)]


def test_a_bad_line_is_answered_by_an_error_that_names_it_and_the_rest_is_done(
    process_sandbox: Sandbox,
) -> None:
    data = b'{"text": "1"}\n\nnonsense\n{"id": 9, "text": 5}\n\xff\xfe\n{"text": "2"}\n' + b"[" * 100_000 + b"\n"
    first, syntax, kind, encoding, last, deep = answers_to(data, process_sandbox)
    assert (first["text"], last["text"]) == ("1", "2")
    assert (syntax["line"], syntax["id"]) == (3, None)
    assert (kind["line"], kind["id"]) == (4, 9)
    assert "Expected `str`, got `int` - at `$.text`" in str(kind["error"])
    assert (encoding["line"], deep["line"]) == (5, 7)


class AnyQuestion(msgspec.Struct):
    """Its id may be anything, and is answered as it came."""

    text: str
    id: msgspec.Raw = msgspec.Raw(b"null")


class AnyReader(Reader):
    request_type = AnyQuestion  # type: ignore[assignment]


def test_an_id_comes_back_as_it_was_and_one_that_is_no_text_as_null(process_sandbox: Sandbox) -> None:
    """Bytes that are no UTF-8 would make a line of the output that nobody can read."""
    data = '{"id": {"ä": [1]}, "text": "1"}\n'.encode() + b'{"id": "\xff", "text": "2"}\n{"id": "\xff", "text": 3}\n'
    data += b'{"id": 9, "text": "\xff"}\n'
    first, *bad, named = answers_to(data, process_sandbox, AnyReader())
    assert (first["id"], first["text"]) == ({"ä": [1]}, "1")
    assert [(line["id"], line["line"]) for line in bad] == [(None, 2), (None, 3)]
    assert (named["id"], named["line"]) == (9, 4)


def test_a_line_is_answered_without_waiting_for_the_next(process_sandbox: Sandbox) -> None:
    reading, writing = os.pipe()
    answered_reading, answered_writing = os.pipe()
    sink = os.fdopen(answered_writing, "wb")
    thread = threading.Thread(target=answer_lines, args=(reading, sink, Reader(), process_sandbox))
    thread.start()
    try:
        for number in range(3):
            os.write(writing, json.dumps({"id": number, "text": "1"}).encode() + b"\n")
            began = time.monotonic()
            assert json.loads(os.read(answered_reading, 4096))["id"] == number
            assert time.monotonic() - began < 5
    finally:
        os.close(writing)
        thread.join(10)
        for descriptor in (reading, answered_reading):
            os.close(descriptor)
        sink.close()


class Echo:
    """A sandbox that reads every text as itself, and counts what is under way; `held` waits for twenty others."""

    def __init__(self, held: str = "") -> None:
        self.held = held
        self.inside: list[str] = []
        self.high_water = 0
        self.beside: dict[str, int] = {}
        self._done = 0
        self._enough = asyncio.Event()

    async def run_async(self, jobs: Sequence[Job]) -> list[JobResult]:
        texts = [job.texts[0] for job in jobs if isinstance(job, LiteralJob)]
        self.inside += texts
        await asyncio.sleep(0)
        self.high_water = max(self.high_water, len(self.inside))
        for text in texts:
            self.beside[text] = len(self.inside) - 1
        if self.held in texts:
            async with asyncio.timeout(5):
                await self._enough.wait()
        for text in texts:
            self.inside.remove(text)
        self._done += len(texts)
        if self._done >= 20:
            self._enough.set()
        return [LiteralResult((Outcome("ok", value=Value(text, text, text)),)) for text in texts]


class Heavy(Reader):
    """Of whose lines much may come, and little comes; of the one of 7 more than there is room for at all."""

    def most_results(self, request: Question) -> int:
        """A thousand bytes, or a hundred times as many."""
        return 100_000 if request.id == 7 else 1000


class TestWhatMayComeOfLines:
    """A short line may ask for megabytes of results, and two thousand of them for more than a machine has."""

    @pytest.fixture(autouse=True)
    def room(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lines, "WINDOW_RESULT_BYTES", 10_000)
        monkeypatch.setattr(lines, "CHUNK_RESULT_BYTES", 2_000)

    def test_no_more_are_under_way_than_there_is_room_for_and_one_beyond_it_goes_alone(self) -> None:
        sandbox = Echo()
        data = "\n".join(json.dumps({"id": number, "text": f"[{number}]"}) for number in range(64)).encode()
        answers = answers_to(data, sandbox, Heavy())
        assert [answer["id"] for answer in answers] == list(range(64))
        assert 2 <= sandbox.high_water <= 10
        assert sandbox.beside["[7]"] == 0

    def test_one_that_takes_long_does_not_hold_back_others_that_brought_little(self) -> None:
        data = "\n".join(json.dumps({"id": 100 + number, "text": f"[{number}]"}) for number in range(64)).encode()
        assert len(answers_to(data, Echo(held="[0]"), Heavy())) == 64

    def test_the_most_is_three_texts_of_letters_that_are_written_longest(self) -> None:
        longest = "\N{GRINNING FACE}" + 998 * "\xe9"  # one such letter has all take four bytes
        texts = (repr(longest), ascii(longest), ascii(longest))
        assert max(map(len, texts)) <= 4 * 1002, "longer ones make a value opaque"
        size = sum(len(text) * (1 if text.isascii() else 4) for text in texts)
        most = lines.result_bytes(1, Limits(output_bytes=1002))
        assert 0.99 * most < size <= most


def test_an_error_in_reading_is_raised_and_nobody_waits_for_what_would_have_followed() -> None:
    class Broken(Reader):
        def most_results(self, request: Question) -> int:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        answers_to(b'{"text": "1"}\n', Echo(), Broken())


def test_an_error_of_the_input_is_raised(process_sandbox: Sandbox, tmp_path: os.PathLike[str]) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(IsADirectoryError):
            answer_lines(folder, io.BytesIO(), Reader(), process_sandbox)
    finally:
        os.close(folder)


def test_the_longest_line_is_as_long_as_the_largest_job() -> None:
    from sandbox_wasm.ticket import LARGEST_JOB_BYTES

    assert LONGEST_LINE_BYTES == LARGEST_JOB_BYTES
