"""Cuts a stream into numbered lines, handed on in chunks as they arrive, in bounded memory.

Called by the reader thread of `azr.cli.lines`. It reads the file descriptor itself, not Python's buffered file on it: a
buffered read waits until its buffer is full, and the answer to a line must not wait for the lines after it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

#: Lines that travel together: enough to share the cost of a round through the sandbox.
CHUNK_LINES = 32

#: Text that travels together, for files of long lines.
CHUNK_BYTES = 1 << 20

#: Longest line that is kept: as long as the largest job the sandbox takes.
LONGEST_LINE_BYTES = 16 << 20

#: How much is read at once.
READ_BYTES = 256 << 10


class Line(NamedTuple):
    """A line of the input."""

    number: int
    text: bytes | None
    """Without its end; None if it was longer than `LONGEST_LINE_BYTES`."""
    length: int


def read_chunks(descriptor: int) -> Iterator[list[Line]]:
    """Chunks of the lines that have arrived; waits for input only when it has none to hand on."""
    for lines in _read_lines(descriptor):
        chunk: list[Line] = []
        size = 0
        for line in lines:
            chunk.append(line)
            size += line.length
            if len(chunk) == CHUNK_LINES or size >= CHUNK_BYTES:
                yield chunk
                chunk, size = [], 0
        if chunk:
            yield chunk


def _read_lines(descriptor: int) -> Iterator[Iterable[Line]]:
    """The lines that each read completes."""
    number = 0
    parts: list[bytes] = []  # The unfinished line; given up, but still measured, once it is too long.
    length = 0
    while data := os.read(descriptor, READ_BYTES):
        first, *others = data.split(b"\n")
        lines: list[Line] = []
        parts.append(first)
        length += len(first)
        for other in others:
            number += 1
            lines.append(_line(number, parts, length))
            parts, length = [other], len(other)
        if length > LONGEST_LINE_BYTES:
            parts.clear()
        yield lines
    if length:
        yield [_line(number + 1, parts, length)]


def _line(number: int, parts: list[bytes], length: int) -> Line:
    return Line(number, b"".join(parts) if length <= LONGEST_LINE_BYTES else None, length + 1)
