"""The bytes of a journal file: a header, then framed records; and how to read them back after any accident.

      header   "azr journal" · format version · marker (8 random bytes)                       · CRC32
      frame    marker · sequence (u64) · synced (u64) · length (u32) · CRC32 of these and body · body

The marker is drawn anew for every file. Bodies hold text that a model wrote; since it cannot know the marker, nothing
it writes can pass for a record when a damaged file is searched for the next intact one.

Reading tells a torn tail from damage. After a power cut any part of what was not synced may be missing, also in the
middle of it, for pages are written in no order. So each frame tells how much of the file was safe when it was written
(`synced`): a broken frame behind all that any intact frame knows to be safe is a torn tail, and ends the file, whatever
follows it. A broken frame before that is damage to records that were safe, and is reported as such with its offset.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

#: Raised with every change of the layout below; a reader refuses a format it does not know.
FORMAT = 2

#: Longest record, far above any trajectory: a length beyond it is damage, not a record.
MAX_RECORD = 1 << 30

MARKER_BYTES = 8
_MAGIC = b"azr journal"
_HEADER = struct.Struct(f"<{len(_MAGIC)}sH{MARKER_BYTES}sI")
_FRAME = struct.Struct(f"<{MARKER_BYTES}sQQII")
_NUMBERS = struct.Struct("<QQI")

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
    """Offset behind the last record; what follows is a torn tail."""
    damage: list[Damage]


def header(marker: bytes) -> bytes:
    """The first bytes of a file."""
    body = _HEADER.pack(_MAGIC, FORMAT, marker, 0)[:-4]
    return body + struct.pack("<I", zlib.crc32(body))


def frame(marker: bytes, sequence: int, synced: int, body: bytes) -> bytes:
    """What goes before a record's body; the file's first `synced` bytes are safe."""
    if len(body) > MAX_RECORD:
        raise ValueError(f"a record of {len(body)} bytes is longer than {MAX_RECORD}")
    return _FRAME.pack(marker, sequence, synced, len(body), _checksum(sequence, synced, body))


def read_marker(data: bytes) -> bytes | None:
    """The marker of a file, or None when its header is damaged or foreign."""
    if len(data) < HEADER_BYTES:
        return None
    magic, version, marker, checksum = _HEADER.unpack_from(data)
    if magic != _MAGIC or version != FORMAT or checksum != zlib.crc32(data[: HEADER_BYTES - 4]):
        return None
    return bytes(marker)


def read(data: bytes, marker: bytes) -> Content:
    """The records of a file up to its torn tail, and where it is damaged."""
    intact = list(_intact(data, marker))
    safe = max((synced for _, _, synced, _ in intact), default=0)
    records: list[bytes] = []
    damage: list[Damage] = []
    sequence, end = 0, HEADER_BYTES
    for start, number, _, body in intact:
        if start != end or number != sequence:
            if end >= safe:
                break
            damage.append(Damage(end, start, max(number - sequence, 0)))
        records.append(body)
        sequence, end = number + 1, start + FRAME_BYTES + len(body)
    return Content(marker, records, sequence, end, damage)


def _intact(data: bytes, marker: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Offset, number, bytes known to be safe, and body of every intact frame, searching on from a broken one."""
    offset = HEADER_BYTES
    while (offset := data.find(marker, offset)) >= 0:
        if offset + FRAME_BYTES <= len(data):
            _, sequence, synced, length, checksum = _FRAME.unpack_from(data, offset)
            body = data[offset + FRAME_BYTES : offset + FRAME_BYTES + length]
            if length <= MAX_RECORD and len(body) == length and checksum == _checksum(sequence, synced, body):
                yield offset, sequence, synced, body
                offset += FRAME_BYTES + length
                continue
        offset += 1


def _checksum(sequence: int, synced: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(_NUMBERS.pack(sequence, synced, len(body))))
