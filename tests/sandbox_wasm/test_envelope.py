"""Jobs out and results in: what the guest is sent it can read, and what it writes is taken strictly or not at all."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox_wasm import envelope
from sandbox_wasm.guest import wire
from sandbox_wasm.protocol import (
    InspectJob,
    InspectResult,
    Job,
    LiteralJob,
    LiteralResult,
    Outcome,
    RunJob,
    RunResult,
    Value,
)

TEXTS = st.one_of(st.text(), st.text(st.characters(max_codepoint=0xDBFF)))


@settings(deadline=None)
@given(TEXTS, st.lists(TEXTS, max_size=3), st.integers(0, 2**31), st.floats(allow_nan=False, allow_infinity=False))
def test_the_guest_reads_the_job_the_host_wrote(program: str, texts: list[str], seed: int, clock: float) -> None:
    jobs: list[Job] = [
        RunJob(program=program, inputs=tuple(texts), random_seed=seed, clock=clock),
        InspectJob(program=program),
        LiteralJob(texts=tuple(texts), form="arguments"),
    ]
    for job in jobs:
        document = wire.read_request(envelope.encode(job))
        assert msgspec.convert(document, Job) == job


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_the_host_reads_the_outcomes_the_guest_wrote(text: str, other: str) -> None:
    literal = ascii(text)
    response = wire.write_outcomes("run", [("ok", (literal, ascii(other), literal, other), ""), ("error", None, text)])
    result = envelope.decode(response)
    assert isinstance(result, RunResult)
    ok, error = result.outcomes
    assert ok.value == Value(literal, ascii(other), literal, wire.printable(other))
    assert error == Outcome("error", error=wire.printable(text))


@settings(deadline=None)
@given(st.text("abc+/=0", min_size=1))
def test_code_that_stands_in_for_a_program_reaches_the_guest_beside_the_job(code: str) -> None:
    job = RunJob(program="", inputs=("1",))
    assert wire.read_request(envelope.encode(job, envelope.decode_code(wire.write_code(code))))["code"] == code


def test_code_that_could_break_out_of_its_request_is_not_taken() -> None:
    with pytest.raises(msgspec.MsgspecError):
        envelope.decode_code(json.dumps({"type": "code", "code": 'x","program":"'}).encode())


def test_facts_and_their_absence_travel() -> None:
    assert envelope.decode(wire.write_no_facts("syntax", "\ud800")) == InspectResult(None, "syntax", "\\ud800")


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        {"type": "run"},
        {"type": "walk", "outcomes": []},
        {"type": "run", "outcomes": [{"status": "well"}]},
        {"type": "run", "outcomes": [{"status": "ok", "value": {"literal": 1, "exact": "1", "key": "1"}}]},
        {"type": "run", "outcomes": [{"status": "ok", "value": {"literal": "1"}}]},
        {"type": "inspect", "facts": {"parameters": "1"}},
    ],
    ids=json.dumps,
)
def test_what_no_honest_guest_writes_is_not_taken(document: Any) -> None:
    with pytest.raises(msgspec.MsgspecError):
        envelope.decode(json.dumps(document).encode())


def test_a_job_without_an_answer_fails_for_every_part_of_it() -> None:
    outcome = Outcome("crashed", error="gone")
    assert envelope.failed(RunJob(program="", inputs=("1", "2")), outcome) == RunResult((outcome, outcome))
    assert envelope.failed(LiteralJob(texts=("1",)), outcome) == LiteralResult((outcome,))
    assert envelope.failed(InspectJob(program=""), outcome) == InspectResult(None, "crashed", "crashed: gone")


def test_what_ends_its_interpreter_by_itself_is_never_our_failure() -> None:
    """`crashed` would let an answer go unpunished, and take its whole group along."""
    run, read, inspect = RunJob(program="", inputs=("1",)), LiteralJob(texts=("1",)), InspectJob(program="")
    words = "w" * 2 * envelope.LONGEST_ERROR
    assert [envelope.broken_by(job, words).status for job in (run, read, inspect)] == ["error", "refused", "refused"]
    assert all(len(envelope.broken_by(job, words).error) == envelope.LONGEST_ERROR for job in (run, read, inspect))
    assert envelope.failed(inspect, envelope.broken_by(inspect, words)).reason == "too_deep"  # type: ignore[union-attr]
    assert envelope.failed(inspect, Outcome("opaque")).reason == "too_large"  # type: ignore[union-attr]
