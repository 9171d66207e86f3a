"""A text stream whose reader may stall: a terminal that Ctrl-S has paused, a pager at its first page, a dropped line.

Owned by the console. Whoever writes waits a moment for the words to be gone, so that they come in order and what goes
wrong is heard; but no longer, for the driver's main loop says everything, and a run goes on whoever looks at it.

      write ──► kept ──► thread ──► stream (a descriptor, past Python's buffer, whose lock a stalled write would hold)
      flush ── waits until all is written, `PATIENCE_SECONDS` at most; not at all while the reader is known to stall
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import threading
from typing import IO

#: How long a flush waits for the reader: any that reads at all takes a table within that.
PATIENCE_SECONDS = 1.0
#: Characters that wait for a reader; what is said beyond is lost to it. The run's own log keeps it all.
KEPT = 1 << 20
#: Between two looks whether a descriptor that must not block takes more.
_LOOK_SECONDS = 1.0


class StalledReaders:
    """Writes to `stream` in a thread of its own; for `rich.console.Console(file=…)`."""

    def __init__(self, stream: IO[str], patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._stream, self._patience = stream, patience_seconds
        self.encoding = getattr(stream, "encoding", None) or "utf-8"
        self._texts: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0
        self._written = threading.Event()
        self._written.set()
        self._stalled = False
        self._error: OSError | None = None
        self._thread: threading.Thread | None = None

    def isatty(self) -> bool:
        """Whether people look at it."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """The descriptor behind it."""
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Have it written; returns at once."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="azr-console", daemon=True)
                self._thread.start()
            if self._waiting + len(text) <= KEPT:
                self._waiting += len(text)
                self._written.clear()
                self._texts.put(text)
        return len(text)

    def flush(self) -> None:
        """Wait for the words to be gone, unless nobody takes them; raises what went wrong with any."""
        self._stalled = not self._written.wait(0.0 if self._stalled else self._patience)
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self) -> None:
        while True:
            text = self._texts.get()
            try:
                self._put(text)
            except OSError as error:
                self._error = error
            except ValueError:  # it was closed: nobody looks any more
                pass
            with self._lock:
                self._waiting -= len(text)
                if not self._waiting:
                    self._written.set()

    def _put(self, text: str) -> None:
        try:
            descriptor = self._stream.fileno()
        except OSError:  # in memory
            self._stream.write(text)
            self._stream.flush()
            return
        left = memoryview(text.encode(self.encoding, "replace"))
        while left:
            with contextlib.suppress(BlockingIOError):
                left = left[os.write(descriptor, left) :]
                continue
            select.select([], [descriptor], [], _LOOK_SECONDS)
