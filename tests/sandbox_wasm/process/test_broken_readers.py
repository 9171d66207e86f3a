"""Texts that are only to be read and break or outlast their reader: by their own doing, and alone."""

from __future__ import annotations

import pytest

from sandbox_wasm.process import conversation
from sandbox_wasm.process.backend import ProcessBackend, _judge
from sandbox_wasm.process.conversation import Ending, Task
from sandbox_wasm.protocol import (
    FUEL_PER_SECOND,
    InspectJob,
    InspectResult,
    Limits,
    LiteralJob,
    LiteralResult,
    Outcome,
    RunJob,
)


def test_a_literal_that_breaks_the_reader_does_not_lose_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    """No text is known to break it; a reader with too little time for a long one stands in."""
    own = ProcessBackend()
    own.run(LiteralJob(texts=("0",)))
    monkeypatch.setattr("sandbox_wasm.process.backend.PARSING", Limits(fuel=FUEL_PER_SECOND // 25, wall_seconds=20.0))
    try:
        result = own.run(LiteralJob(texts=("1", "[" + "{'a':[1,1.5]}," * 60_000 + "]", "2"), output_bytes=1 << 20))
    finally:
        own.close()
    assert isinstance(result, LiteralResult)
    assert [outcome.status for outcome in result.outcomes] == ["ok", "timeout", "ok"]


def test_a_text_that_breaks_its_reader_is_refused_and_its_neighbours_are_read(backend: ProcessBackend) -> None:
    """Were it our failure, an answer could make itself undecided and take its whole group along."""
    result = backend.run(LiteralJob(texts=("1", "(1)" + "#\n+(1)" * 600, "2"), form="arguments"))
    assert isinstance(result, LiteralResult)
    assert [outcome.status for outcome in result.outcomes] == ["ok", "refused", "ok"]


def test_a_program_whose_facts_are_beyond_all_measure_is_too_large(backend: ProcessBackend) -> None:
    program = "import " + "a" * 4_000 + " as b\ndef f(x):\n" + "".join(f" b.c{number}\n" for number in range(700))
    result = backend.run(InspectJob(program=program))
    assert isinstance(result, InspectResult)
    assert (result.facts, result.reason) == (None, "too_large")


@pytest.mark.parametrize(
    ("how", "program", "text"),
    [
        (conversation.LEFT, "error", "refused"),
        (conversation.GONE, "error", "refused"),
        (conversation.TOO_LONG, "error", "opaque"),
        (conversation.KILLED, "crashed", "crashed"),
        (conversation.WALL_LIMIT, "retry", "retry"),
        (conversation.CPU_LIMIT, "timeout", "timeout"),
    ],
)
def test_what_ends_by_itself_is_the_doing_of_the_program_that_ran_or_the_text_that_was_read(
    how: int, program: str, text: str
) -> None:
    ending, task = Ending(how, 0, b"words"), Task(5.0, 20.0, 1 << 28, 1 << 20, b"")
    for job, status in ((RunJob(program="", inputs=("1",)), program), (LiteralJob(texts=("1",)), text)):
        outcome = _judge(ending, task, job)
        assert isinstance(outcome, Outcome)
        assert outcome.status == status
