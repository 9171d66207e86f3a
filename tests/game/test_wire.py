"""The wire form: round trips, views instead of copies, and refusals that name what is wrong."""

from __future__ import annotations

import contextlib
import tracemalloc

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from azr.game import wire
from azr.game.types import (
    SCHEMA_VERSION,
    Attempt,
    Candidate,
    Cell,
    Proposal,
    Refusal,
    Task,
    Trajectory,
    Verdict,
    Version,
    VersionSpan,
)
from azr.game.wire import WireError, decode, encode

TASK = Task(
    id="t", task_type="deduction", program="def f(é): return é", inputs=("1",), outputs=("1",), born=Version(1, 7)
)


def trajectory(tokens: int = 3) -> Trajectory:
    return Trajectory(
        id="r-1",
        cell=Cell("abduction", "solve"),
        group="g",
        prompt_ids=np.arange(5, dtype=np.int32),
        response_ids=np.arange(tokens, dtype=np.int32),
        behaviour_logprobs=-np.linspace(0, 3, tokens, dtype=np.float32),
        spans=(VersionSpan(0, tokens, Version(0, 3)),),
        reward=-0.5,
    )


def same(left: Trajectory, right: Trajectory) -> bool:
    arrays = ("prompt_ids", "response_ids", "behaviour_logprobs")
    plain = [
        {name: getattr(one, name) for name in one.__struct_fields__ if name not in arrays} for one in (left, right)
    ]
    return plain[0] == plain[1] and all(np.array_equal(getattr(left, name), getattr(right, name)) for name in arrays)


@pytest.mark.parametrize(
    "record",
    [
        TASK,
        Refusal("banned", "os"),
        Candidate(program="p", inputs=("1",)),
        Verdict(correct=True, well_formed=True, reason="correct"),
        Cell("deduction", "propose"),
        Version(2, 9),
    ],
)
def test_records_come_back_as_they_were(record: msgspec.Struct) -> None:
    assert decode(encode(record), type(record)) == record


def test_trajectories_come_back_alone_and_inside_others() -> None:
    sent = trajectory()
    assert same(decode(encode(sent), Trajectory), sent)
    proposal = decode(encode(Proposal(trajectory=sent, task=TASK, reason="accepted")), Proposal)
    assert same(proposal.trajectory, sent)
    assert proposal.task == TASK
    verdict = Verdict(correct=False, well_formed=True, reason="wrong")
    attempt = decode(encode(Attempt(trajectory=sent, task_id="t", verdict=verdict)), Attempt)
    assert same(attempt.trajectory, sent)


def test_arrays_are_read_only_views_of_the_message() -> None:
    message = encode(trajectory(1_000_000))
    tracemalloc.start()
    try:
        received = decode(message, Trajectory)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100_000  # the arrays alone hold 8 MB
    assert np.shares_memory(received.response_ids, np.frombuffer(message, np.uint8))
    assert not received.response_ids.flags.writeable


def test_a_message_may_come_as_any_buffer() -> None:
    message = encode(trajectory())
    for form in (message, bytearray(message), memoryview(message)):
        assert same(decode(form, Trajectory), trajectory())


def test_strided_foreign_and_empty_arrays_travel() -> None:
    odd = msgspec.structs.replace(
        trajectory(),
        prompt_ids=np.arange(10, dtype=np.int32)[::2],
        response_ids=np.arange(3, dtype=">i4"),
        behaviour_logprobs=np.zeros(0, np.float32),
    )
    received = decode(encode(odd), Trajectory)
    assert received.prompt_ids.tolist() == [0, 2, 4, 6, 8]
    assert received.response_ids.tolist() == [0, 1, 2]
    assert received.response_ids.dtype == np.int32
    assert received.behaviour_logprobs.shape == (0,)


def test_the_shape_of_an_array_travels() -> None:
    grid = msgspec.structs.replace(trajectory(), prompt_ids=np.arange(6, dtype=np.int32).reshape(2, 3))
    assert decode(encode(grid), Trajectory).prompt_ids.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, SCHEMA_VERSION - 1])
def test_another_schema_is_refused_by_its_number(version: int) -> None:
    message = bytearray(encode(TASK))
    message[3] = version
    with pytest.raises(WireError, match=rf"schema {version}; this azr reads schema {SCHEMA_VERSION}") as refusal:
        decode(message, Task)
    assert ("newer" if version > SCHEMA_VERSION else "older") in refusal.value.mend


def test_another_record_is_refused_by_its_name() -> None:
    with pytest.raises(WireError, match="'Task' where Trajectory was due"):
        decode(encode(TASK), Trajectory)


def test_an_array_of_another_type_is_refused_by_field() -> None:
    wrong = msgspec.structs.replace(trajectory(), prompt_ids=np.arange(3))
    with pytest.raises(WireError, match=r"expected an array of int32, found one of int64 - at `\$\.prompt_ids`"):
        decode(encode(wrong), Trajectory)


def test_a_list_where_an_array_was_due_is_refused() -> None:
    body = msgspec.msgpack.encode({"id": "", "cell": {"task": "", "role": "solve"}, "group": "", "prompt_ids": [1, 2]})
    message = encode(trajectory())[: 5 + len("Trajectory")] + body
    with pytest.raises(WireError, match="found list"):
        decode(message, Trajectory)


@pytest.mark.parametrize("value", [object(), {1: {2}.__iter__()}, np.array([object()]), np.array(["text"])])
def test_what_cannot_travel_is_refused_when_it_is_sent(value: object) -> None:
    with pytest.raises(TypeError, match="cannot travel"):
        encode(msgspec.structs.replace(trajectory(), prompt_ids=value))


@pytest.mark.parametrize(
    "extension", [(1, b""), (1, b"\x02\x00xx"), (1, b"\x02\x00|O"), (9, b"\x03\x00<i4"), (1, b"\x03\x09")]
)
def test_an_extension_that_is_no_array_is_refused(extension: tuple[int, bytes]) -> None:
    record = trajectory()
    body = msgspec.msgpack.encode({"prompt_ids": msgspec.msgpack.Ext(*extension)})
    with pytest.raises(WireError, match="should hold a Trajectory"):
        decode(encode(record)[: 5 + len("Trajectory")] + body, Trajectory)


@given(some.binary(max_size=200))
def test_random_bytes_are_refused_and_never_anything_else(noise: bytes) -> None:
    for message in (noise, b"azr" + noise, encode(TASK)[:9] + noise):
        with pytest.raises(WireError):
            decode(message, Task)


@given(some.integers(0, 300), some.integers(0, 255))
def test_a_damaged_message_is_refused_or_still_a_record(place: int, byte: int) -> None:
    message = bytearray(encode(trajectory()))
    message[place % len(message)] = byte
    with contextlib.suppress(WireError):
        assert isinstance(decode(message, Trajectory), Trajectory)


def test_every_wire_error_says_how_to_mend_it() -> None:
    with pytest.raises(WireError) as refusal:
        decode(b"", Task)
    assert refusal.value.mend == wire._MEND


def test_cells_are_named_and_read_back() -> None:
    assert str(Cell.of("deduction/solve")) == "deduction/solve"
    for text in ("", "deduction", "deduction/", "/solve", "deduction/judge"):
        with pytest.raises(ValueError, match="not a cell"):
            Cell.of(text)


def test_the_oldest_weights_that_made_any_token() -> None:
    spans = (VersionSpan(0, 2, Version(0, 9)), VersionSpan(2, 3, Version(0, 4)))
    assert msgspec.structs.replace(trajectory(), spans=spans).oldest_version == Version(0, 4)
    assert msgspec.structs.replace(trajectory(), spans=(), reward_version=Version(1, 1)).oldest_version == Version(1, 1)
