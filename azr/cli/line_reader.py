"""Cuts a stream into numbered lines, handed on in chunks as they arrive, in bounded memory.

Called by the reader thread of `azr.cli.lines`. It reads the file descriptor itself, not Python's buffered file on it: a
buffered read waits until its buffer is full, and the answer to a line must not wait for the lines after it.
"""

from __future__ import annotations

import os
import threading
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


class Room:
    """How many lines, and how much that comes of them, may be under way: a reader thread waits in `enter`, the writer
    makes room with `leave`."""

    def __init__(self, lines: int, size: int, results: int) -> None:
        self._lines = lines
        self._size = size
        self._results = results
        self._lines_inside = 0
        self._size_inside = 0
        self._results_inside = 0
        self._closed = False
        self._changed = threading.Condition()
        self.high_water = 0

    def enter(self, lines: int, size: int, results: int = 0) -> bool:
        """Wait until a chunk of so many lines and bytes, with the most that may come of it, fits or is alone; false
        when nobody will make room any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._fits(lines, size, results))
            if self._closed:
                return False
            self._lines_inside += lines
            self._size_inside += size
            self._results_inside += results
            self.high_water = max(self.high_water, self._size_inside)
            return True

    def shrink(self, results: int) -> None:
        """So much less came of a chunk than might have."""
        with self._changed:
            self._results_inside -= results
            self._changed.notify()

    def leave(self, lines: int, size: int, results: int = 0) -> None:
        """A chunk is done."""
        with self._changed:
            self._lines_inside -= lines
            self._size_inside -= size
            self._results_inside -= results
            self._changed.notify()

    def close(self) -> None:
        """Send the waiting reader home."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _fits(self, lines: int, size: int, results: int) -> bool:
        if self._lines_inside == 0:
            return True
        if self._size_inside + size > self._size or self._results_inside + results > self._results:
            return False
        return self._lines_inside + lines <= self._lines
