"""The bytes of a journal file: a header, then framed records; and how to read them back after any accident.

      header   "azr journal" · format version · marker (8 random bytes)                       · CRC32
      frame    marker · sequence (u64) · synced (u64) · length (u32) · CRC32 of these and body · body

The marker is drawn anew for every file. Bodies hold text that a model wrote; since it cannot know the marker, nothing
it writes can pass for a record when a damaged file is searched for the next intact one.

Reading tells a torn tail from damage. After a power cut any part of what was not synced may be missing, also in the
middle of it, for pages are written in no order. So each frame tells how much of the file was safe when it was written
(`synced`): a broken frame behind all that any intact frame knows to be safe is a torn tail, and ends the file, whatever
follows it. A broken frame before that is damage to records that were safe, and is reported as such with its offset.

A file is gone through twice, for only its end tells what was safe: once to judge it, holding none of it, and once to
hand out its records, one at a time. So what reading costs in memory does not grow with the file.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

#: Raised with every change of the layout below; a reader refuses a format it does not know.
FORMAT = 2

#: Longest record, far above any trajectory: a length beyond it is damage, not a record.
MAX_RECORD = 1 << 30

#: A file is searched, and a record checked, in pieces of this: little beside any process, much beside a call.
PIECE_BYTES = 1 << 20

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
    records: int
    next_sequence: int
    end: int
    """Offset behind the last record."""
    torn: int
    """Bytes of the torn tail that follows."""
    damage: list[Damage]


class _Frame(NamedTuple):
    """An intact frame."""

    start: int
    sequence: int
    synced: int
    length: int
    """Of its body."""

    @property
    def body(self) -> int:
        """Where its body lies."""
        return self.start + FRAME_BYTES

    @property
    def end(self) -> int:
        """Where the next frame should be."""
        return self.body + self.length


class _Gap(NamedTuple):
    """Where a frame does not follow upon the one before it, and what had been read by then."""

    damage: Damage
    records: int
    next_sequence: int


def header(marker: bytes) -> bytes:
    """The first bytes of a file."""
    body = _HEADER.pack(_MAGIC, FORMAT, marker, 0)[:-4]
    return body + struct.pack("<I", zlib.crc32(body))


def frame(marker: bytes, sequence: int, synced: int, body: bytes) -> bytes:
    """What goes before a record's body; the file's first `synced` bytes are safe."""
    if len(body) > MAX_RECORD:
        raise ValueError(f"a record of {len(body)} bytes is longer than {MAX_RECORD}")
    return _FRAME.pack(marker, sequence, synced, len(body), _checksum(sequence, synced, body))


def read_marker(file: BinaryIO) -> bytes | None:
    """The marker of a file, or None when its header is damaged or foreign."""
    file.seek(0)
    data = file.read(HEADER_BYTES)
    if len(data) < HEADER_BYTES:
        return None
    magic, version, marker, checksum = _HEADER.unpack(data)
    if magic != _MAGIC or version != FORMAT or checksum != zlib.crc32(data[:-4]):
        return None
    return bytes(marker)


def survey(file: BinaryIO, marker: bytes) -> Content:
    """How many records a file has up to its torn tail, and where it is damaged; holds no more than a piece of it."""
    safe = records = sequence = 0
    end = HEADER_BYTES
    gaps: list[_Gap] = []
    for frame in _intact(file, marker):
        safe = max(safe, frame.synced)
        if frame.start != end or frame.sequence != sequence:
            gaps.append(_Gap(Damage(end, frame.start, max(frame.sequence - sequence, 0)), records, sequence))
        records, sequence, end = records + 1, frame.sequence + 1, frame.end
    damage: list[Damage] = []
    for gap in gaps:
        if gap.damage.start >= safe:
            records, sequence, end = gap.records, gap.next_sequence, gap.damage.start
            break
        damage.append(gap.damage)
    return Content(marker, records, sequence, end, file.seek(0, os.SEEK_END) - end, damage)


def records(file: BinaryIO, marker: bytes, end: int) -> Iterator[bytes]:
    """The bodies of the intact frames before `end`, one at a time."""
    for frame in _intact(file, marker):
        if frame.start >= end:
            return
        file.seek(frame.body)
        yield file.read(frame.length)


def _intact(file: BinaryIO, marker: bytes) -> Iterator[_Frame]:
    """Every intact frame, searching on from a broken one."""
    offset = HEADER_BYTES
    while (frame := _frame_at(file, marker, offset)) is not None or (offset := _find(file, marker, offset + 1)) >= 0:
        if frame is not None:
            yield frame
            offset = frame.end


def _frame_at(file: BinaryIO, marker: bytes, offset: int) -> _Frame | None:
    """The frame that begins here, if an intact one does."""
    file.seek(offset)
    head = file.read(FRAME_BYTES)
    if len(head) < FRAME_BYTES or not head.startswith(marker):
        return None
    _, sequence, synced, length, checksum = _FRAME.unpack(head)
    if length > MAX_RECORD:
        return None
    found, left = zlib.crc32(_NUMBERS.pack(sequence, synced, length)), length
    while left and (piece := file.read(min(left, PIECE_BYTES))):
        found, left = zlib.crc32(piece, found), left - len(piece)
    return _Frame(offset, sequence, synced, length) if not left and found == checksum else None


def _find(file: BinaryIO, marker: bytes, offset: int) -> int:
    """Where the marker stands next, at this offset or behind it; -1 where it does not."""
    file.seek(offset)
    window = b""
    while piece := file.read(PIECE_BYTES):
        window += piece
        if (found := window.find(marker)) >= 0:
            return offset + found
        offset += max(0, len(window) - MARKER_BYTES + 1)
        window = window[-MARKER_BYTES + 1 :]
    return -1


def _checksum(sequence: int, synced: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(_NUMBERS.pack(sequence, synced, len(body))))
