"""Frames on the connection between a client and a replica.

A frame is its length, the number of the call it belongs to, a kind, and a payload in azr's own record format: nothing
that comes over the network is ever unpickled.

    client ── HELLO token, then ASK request, CANCEL ──► replica
           ◄── ANSWER generation, FAILURE kind + text ──
"""

from __future__ import annotations

import asyncio
import enum
import struct

import msgspec

#: Length of the payload, number of the call, kind.
_HEADER = struct.Struct("<IQB")

#: Longest payload taken: 128 samples of 32k tokens with their log-probs. What claims more is no frame of ours.
LONGEST = 256 << 20


#: Longest greeting: nobody who has not said the token gets more of a replica's memory.
LONGEST_HELLO = 256


class Kind(enum.IntEnum):
    """What a frame is."""

    HELLO = 0
    ASK = 1
    CANCEL = 2
    ANSWER = 3
    FAILURE = 4


class FailureKind(enum.StrEnum):
    """Why there is no answer."""

    ELSEWHERE = "elsewhere"
    """This replica cannot now; another can."""
    DIED = "died"
    """The engine died with the request in it; another can answer, unless it dies of it as well."""
    REFUSED = "refused"
    """Nobody ever can."""
    FAILED = "failed"
    """It went wrong here, and may go wrong elsewhere."""


class Failure(msgspec.Struct, frozen=True):
    """The payload of FAILURE."""

    kind: str
    message: str


class WireError(ConnectionError):
    """What came is no frame of ours."""


def frame(call: int, kind: Kind, payload: bytes = b"") -> bytes:
    """A frame's bytes."""
    return _HEADER.pack(len(payload), call, kind) + payload


async def read_frame(reader: asyncio.StreamReader, longest: int = LONGEST) -> tuple[int, Kind, bytes]:
    """The next frame: call, kind, payload. `IncompleteReadError` (a kind of EOFError) when the other side is gone."""
    length, call, kind = _HEADER.unpack(await reader.readexactly(_HEADER.size))
    if length > longest or kind not in Kind._value2member_map_:
        raise WireError(f"a frame of kind {kind} and {length} bytes")
    return call, Kind(kind), await reader.readexactly(length)
