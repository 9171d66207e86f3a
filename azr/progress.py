"""Progress of long work: a bar on a terminal, a plain line now and then otherwise."""

from __future__ import annotations

import atexit
import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

#: Seconds between plain lines where no terminal redraws: often enough to see life, seldom enough for a log.
PLAIN_SECONDS = 10.0


class Progress:
    """Shows how far a counted piece of work is. On standard error, so that results stay clean."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._last = what, total, 0.0
        self._bar: Bar | None = None
        if sys.stderr.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Bar(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True))
            self._task = self._bar.add_task(what, total=total, note="")
            atexit.register(self._bar.stop)  # whatever ends the work early, the cursor it hides comes back
            self._bar.start()

    def show(self, done: int, note: str = "") -> None:
        """So much is done. The last call, with `done` equal to the total, always shows."""
        finished = done >= self._total
        if self._bar is not None:
            self._bar.update(self._task, completed=done, note=note)
            if finished:
                self._bar.stop()
                atexit.unregister(self._bar.stop)
        elif finished or time.monotonic() - self._last >= PLAIN_SECONDS:
            self._last = time.monotonic()
            print(f"{self._what} {done}/{self._total}  {note}", file=sys.stderr, flush=True)
