"""What the pool and a worker say to each other: length-prefixed msgpack frames over one socket pair.

Owns the messages and the framing; knows nothing of scheduling. The pool writes jobs in small batches and the worker
answers them one frame each, in the order it was given them, exactly one answer a job:

      pool                                   worker
       │ ── Assign [(7, job), (8, job)] ──►   │
       │ ◄── Answer 7 ───────────────────     │  7 took long:
       │ ── Revoke [8] ──────────────────►    │  somebody else may have 8
       │ ◄── Answer 8, skipped ──────────     │

A worker runs hostile programs, so what comes from it is judged as hostile too: typed decoding, bounded frames, and a
`ChannelError` at the first byte that does not fit.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import msgspec

from sandbox_wasm.protocol import Job, JobResult
from sandbox_wasm.registry import Option

#: A frame's length, little-endian, before its body.
HEADER = struct.Struct("<I")

#: Largest frame either side accepts. Jobs are refused or divided before they are sent (`sandbox_wasm.ticket`) so that
#: neither they nor their results reach it; a worker that sends more is broken or lies.
MAX_FRAME_BYTES = 64 << 20

#: How much is read from a socket at once: enough for some hundred answers.
READ_BYTES = 256 << 10


#: Exit status of a worker whose back end broke; told apart from a signal's in the pool's messages.
BROKEN = 70

#: Exit status of a worker whose back end found its isolation gone; the pool then trusts nothing any more.
UNSOUND = 71


class ChannelError(Exception):
    """The other side sent what no honest side sends."""


class Hello(msgspec.Struct, frozen=True, tag="hello", kw_only=True):
    """First frame to a worker: what it is to build and what it may use."""

    backend: str
    options: dict[str, Option]
    harden: bool
    """Whether to lock the worker in once the back end is built; only tests and debuggers say no."""


class Assign(msgspec.Struct, frozen=True, tag="assign"):
    """Jobs to run, in order, each under the number its answer must carry. The jobs are encoded already."""

    jobs: list[tuple[int, msgspec.Raw]]


class Revoke(msgspec.Struct, frozen=True, tag="revoke"):
    """Numbers of jobs that need not be run any more; they are still answered, as skipped."""

    numbers: list[int]


class Ready(msgspec.Struct, frozen=True, tag="ready", kw_only=True):
    """The worker has built its back end and locked itself in."""

    backend: str
    hardening: dict[str, str]


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """What became of one job; no result means that it was revoked before it began."""

    number: int
    seconds: float
    result: JobResult | None


ToWorker = Hello | Assign | Revoke
FromWorker = Ready | Answer

_encoder = msgspec.msgpack.Encoder()
_job_decoder: msgspec.msgpack.Decoder[Job] = msgspec.msgpack.Decoder(Job)


def encode_job(job: Job) -> bytes:
    """A job as it travels; made once, in the caller's thread."""
    return _encoder.encode(job)


def decode_job(body: msgspec.Raw) -> Job:
    """The job a worker was sent."""
    return _job_decoder.decode(body)


def frame(message: ToWorker | FromWorker) -> bytes:
    """A message ready to be written."""
    body = _encoder.encode(message)
    if len(body) > MAX_FRAME_BYTES:
        raise ChannelError(f"a frame of {len(body)} bytes is larger than the bound of {MAX_FRAME_BYTES}")
    return HEADER.pack(len(body)) + body


class FrameBuffer:
    """Cuts a stream of bytes into frames; holds at most one unfinished frame and one read."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take what was read; give back the bodies it completes."""
        self._bytes += data
        start = 0
        try:
            while len(self._bytes) - start >= HEADER.size:
                (length,) = HEADER.unpack_from(self._bytes, start)
                if length > MAX_FRAME_BYTES:
                    raise ChannelError(f"a frame of {length} bytes was announced; the bound is {MAX_FRAME_BYTES}")
                end = start + HEADER.size + length
                if len(self._bytes) < end:
                    break
                body = bytes(self._bytes[start + HEADER.size : end])
                start = end
                yield body
        finally:
            del self._bytes[:start]


class WorkerEnd:
    """The worker's end: blocking writes, and reads that wait only when there is nothing left to do."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._buffer = FrameBuffer()
        self._decoder: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)

    def receive(self, *, wait: bool) -> list[ToWorker] | None:
        """Messages that arrived; an empty list when none did and `wait` is false; None when the pool has gone."""
        while True:
            try:
                data = self._socket.recv(READ_BYTES, 0 if wait else socket.MSG_DONTWAIT)
            except BlockingIOError:
                return []
            if not data:
                return None
            messages = [self._decoder.decode(body) for body in self._buffer.feed(data)]
            if messages or not wait:
                return messages

    def send(self, message: FromWorker) -> None:
        """Write one message; waits while the pool is not reading."""
        self._socket.sendall(frame(message))
