"""The bytes of a journal file: a header, then framed records; and how to read them back after any accident.

      header   "azr journal" · format version · marker (8 random bytes)                       · CRC32
      frame    marker · sequence number (u64) · length (u32) · CRC32 of number, length, body  · body

The marker is drawn anew for every file. Bodies hold text that a model wrote; since it cannot know the marker, nothing
it writes can pass for a record when a damaged file is searched for the next intact one.

Reading tells a torn tail from damage. Files only grow, so an interrupted write leaves a broken frame with nothing
intact after it: the tail is torn, and was never acknowledged. A broken frame with an intact one after it is damage to
records that were acknowledged, and is reported as such with its offset.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

#: Raised with every change of the layout below; a reader refuses a format it does not know.
FORMAT = 1

#: Longest record, far above any trajectory: a length beyond it is damage, not a record.
MAX_RECORD = 1 << 30

MARKER_BYTES = 8
_MAGIC = b"azr journal"
_HEADER = struct.Struct(f"<{len(_MAGIC)}sH{MARKER_BYTES}sI")
_FRAME = struct.Struct(f"<{MARKER_BYTES}sQII")
_NUMBERS = struct.Struct("<QI")

HEADER_BYTES = _HEADER.size
FRAME_BYTES = _FRAME.size


class Damage(NamedTuple):
    """Bytes from `start` to `end` that are no intact records; `missing` is how many records were there, at least."""

    start: int
    end: int
    missing: int


class Content(NamedTuple):
    """What a journal file holds."""

    marker: bytes
    records: list[bytes]
    next_sequence: int
    end: int
    """Offset behind the last intact record; what follows is a torn tail."""
    damage: list[Damage]


def header(marker: bytes) -> bytes:
    """The first bytes of a file."""
    body = _HEADER.pack(_MAGIC, FORMAT, marker, 0)[:-4]
    return body + struct.pack("<I", zlib.crc32(body))


def frame(marker: bytes, sequence: int, body: bytes) -> bytes:
    """What goes before a record's body."""
    if len(body) > MAX_RECORD:
        raise ValueError(f"a record of {len(body)} bytes is longer than {MAX_RECORD}")
    return _FRAME.pack(marker, sequence, len(body), _checksum(sequence, body))


def read_marker(data: bytes) -> bytes | None:
    """The marker of a file, or None when its header is damaged or foreign."""
    if len(data) < HEADER_BYTES:
        return None
    magic, version, marker, checksum = _HEADER.unpack_from(data)
    if magic != _MAGIC or version != FORMAT or checksum != zlib.crc32(data[: HEADER_BYTES - 4]):
        return None
    return bytes(marker)


def read(data: bytes, marker: bytes) -> Content:
    """Every intact record of a file and where it is damaged."""
    records: list[bytes] = []
    damage: list[Damage] = []
    sequence, end = 0, HEADER_BYTES
    for start, number, body in _intact(data, marker):
        if start != end or number != sequence:
            damage.append(Damage(end, start, max(number - sequence, 0)))
        records.append(body)
        sequence, end = number + 1, start + FRAME_BYTES + len(body)
    return Content(marker, records, sequence, end, damage)


def _intact(data: bytes, marker: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Offset, sequence number and body of every intact frame, searching on from the marker of a broken one."""
    offset = HEADER_BYTES
    while (offset := data.find(marker, offset)) >= 0:
        if offset + FRAME_BYTES <= len(data):
            _, sequence, length, checksum = _FRAME.unpack_from(data, offset)
            body = data[offset + FRAME_BYTES : offset + FRAME_BYTES + length]
            if length <= MAX_RECORD and len(body) == length and checksum == _checksum(sequence, body):
                yield offset, sequence, body
                offset += FRAME_BYTES + length
                continue
        offset += 1


def _checksum(sequence: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(_NUMBERS.pack(sequence, len(body))))
