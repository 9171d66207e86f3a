"""The window of lines under way: whoever reads waits in it for whoever writes, so that memory stays bounded.

`azr.cli.lines` holds one. Its reader thread waits in `enter`, which is the back-pressure on the input; its event loop
makes room: by `shrink` as a chunk is judged, by `leave` as it is written.
"""

from __future__ import annotations

import threading


class Window:
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
