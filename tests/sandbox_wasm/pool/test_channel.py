"""Frames between the pool and a worker: cut as sent, bounded, and strict about what they hold."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_wasm.channel import (
    HEADER,
    MAX_FRAME_BYTES,
    Answer,
    Assign,
    ChannelError,
    FrameBuffer,
    FromWorker,
    decode_job,
    encode_job,
    frame,
)
from sandbox_wasm.protocol import InspectJob, Job, LiteralJob, Outcome, RunJob, RunResult


@given(st.lists(st.binary(max_size=50), max_size=8), st.lists(st.integers(1, 40), max_size=12))
def test_frames_come_out_as_they_went_in_however_the_stream_is_cut(bodies: list[bytes], cuts: list[int]) -> None:
    data = b"".join(HEADER.pack(len(body)) + body for body in bodies)
    buffer, found = FrameBuffer(), list[bytes]()
    for cut in cuts:
        found += buffer.feed(data[:cut])
        data = data[cut:]
    found += buffer.feed(data)
    assert found == bodies


def test_a_frame_that_announces_more_than_the_bound_is_refused_before_it_is_read() -> None:
    with pytest.raises(ChannelError, match=str(MAX_FRAME_BYTES + 1)):
        list(FrameBuffer().feed(HEADER.pack(MAX_FRAME_BYTES + 1)))


def test_what_a_worker_says_is_decoded_by_its_type_and_nothing_else() -> None:
    decoder = msgspec.msgpack.Decoder(FromWorker)
    honest = Answer(3, 0.5, RunResult((Outcome("ok"),)))
    assert decoder.decode(frame(honest)[HEADER.size :]) == honest
    with pytest.raises(msgspec.MsgspecError):
        decoder.decode(frame(Assign([]))[HEADER.size :])
    with pytest.raises(msgspec.MsgspecError):
        decoder.decode(b"\xff" * 8)


@pytest.mark.parametrize(
    "job", [RunJob(program="p", inputs=("1",)), InspectJob(program="p"), LiteralJob(texts=("1",), form="arguments")]
)
def test_jobs_travel_unchanged(job: Job) -> None:
    assert decode_job(msgspec.Raw(encode_job(job))) == job
