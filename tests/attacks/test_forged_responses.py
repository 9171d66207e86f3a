"""What the host makes of responses that a hijacked guest could write. No sandbox needed: the bytes are all there is."""

from __future__ import annotations

import msgspec
import pytest

from sandbox_wasm import envelope
from sandbox_wasm.protocol import InspectJob, InspectResult, Outcome, RunResult, Value

HONEST = RunResult(outcomes=(Outcome("ok", value=Value("7", "7", "7", "int")), Outcome("error", error="ValueError")))


def response(*outcomes: Outcome) -> bytes:
    return msgspec.json.encode(RunResult(outcomes=outcomes))


def test_an_honest_response_is_taken_as_it_is() -> None:
    assert envelope.decode(msgspec.json.encode(HONEST)) == HONEST


@pytest.mark.parametrize("word", ["retry", "timeout", "crashed"])
def test_the_hosts_own_words_are_not_taken_from_a_guest(word: str) -> None:
    with pytest.raises(msgspec.MsgspecError, match="not for a guest"):
        envelope.decode(response(Outcome(word, error="the machine was busy")))  # type: ignore[arg-type]


def test_success_without_a_value_is_no_success() -> None:
    with pytest.raises(msgspec.MsgspecError, match="without a value"):
        envelope.decode(response(Outcome("ok")))


def test_a_failure_with_a_value_is_neither() -> None:
    with pytest.raises(msgspec.MsgspecError, match="with a value"):
        envelope.decode(response(Outcome("error", value=Value("7", "7", "7"))))


def test_an_endless_error_or_type_name_does_not_reach_the_host() -> None:
    with pytest.raises(msgspec.MsgspecError, match="measure"):
        envelope.decode(response(Outcome("error", error="E" * 1_000_000)))
    with pytest.raises(msgspec.MsgspecError, match="measure"):
        envelope.decode(response(Outcome("ok", value=Value("7", "7", "7", "t" * 1_000_000))))


@pytest.mark.parametrize(
    "forged",
    [
        b"",
        b"{}",
        b"null",
        b'{"type":"run"}',
        b'{"type":"run","outcomes":[{"status":"accepted"}]}',
        b'{"type":"run","outcomes":[{"status":"error","error":"\xff"}]}',
        b'{"type":"run","outcomes":[{"status":"error","error":"\\ud800"}]}',
        b'{"type":"run","outcomes":[],"else":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[" * 100_000,
    ],
    ids=["empty", "object", "null", "no outcomes", "word", "bytes", "surrogate", "deep beside", "deep"],
)
def test_whatever_else_it_writes_is_one_kind_of_error(forged: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        envelope.decode(forged)


@pytest.mark.parametrize(
    ("ending", "reason"),
    [("retry", "retry"), ("timeout", "too_large"), ("memory", "too_large"), ("crashed", "crashed")],
)
def test_a_text_that_could_not_be_parsed_is_not_called_a_crash_unless_it_was_one(ending: str, reason: str) -> None:
    result = envelope.failed(InspectJob(program=""), Outcome(ending))  # type: ignore[arg-type]
    assert isinstance(result, InspectResult)
    assert result.reason == reason
