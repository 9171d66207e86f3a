"""A tracker that never holds the run up: its calls run in a thread of their own, behind a bounded queue.

    run ── metrics, artifact ──► queue (bounded: the oldest metrics go) ──► thread ──► tracker ──► network, database
        ├─ catch_up, finish ──┘                                              │ fails: try again, later and later
        └─ over ──► ahead of the queue, no part of it ───────────────────────┘ `tell` once an outage, and when it ends

Nothing here raises into the run. What is lost is counted and said; the JSON lines in the run's folder hold it all.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from azr.metrics.told import MARKS
from azr.run.tracking.base import EndsFirst, Remembers, RunInfo, Tracker
from azr.run.tracking.earlier import Report
from azr.text import shortened

#: A report is tried this often; one that still fails is dropped, so that a single bad one does not block the rest.
TRIES = 3
#: Seconds before trying again: the first time, and how many times as long at most.
FIRST_PAUSE, LONGEST_FACTOR = 0.5, 60

_Call = Callable[[], None]


class Background:
    """Calls a tracker from its own thread."""

    def __init__(
        self,
        name: str,
        make: Callable[[], Tracker],
        tell: Callable[[str], None],
        *,
        capacity: int,
        timeout: float,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        """`make` is called in the tracker's own thread: making one may take its time, and fail, like all else."""
        self.name = name
        self.lost = 0
        """Reports that the tracker never got."""
        self._make, self._tell = make, tell
        self._made: Tracker | None = None
        self._capacity, self._timeout = capacity, timeout
        self._first_pause, self._longest_pause = first_pause, first_pause * LONGEST_FACTOR
        self._condition = threading.Condition()
        self._queue: deque[_Call] = deque()
        self._ahead: _Call | None = None
        """What is called before all that waits, and never goes for want of room."""
        self._started: _Call | None = None
        self._closing = False
        self._hurry = threading.Event()
        """Set when the run has ended: no more pauses."""
        self._thread = threading.Thread(target=self._run, name=f"tracker-{self.name}", daemon=True)
        self._failing = False

    def start(self, run: RunInfo) -> None:
        """Let the tracker begin; it may take its time."""
        self._started = lambda: self._tracker().start(run)
        self._thread.start()

    def metrics(self, step: int, values: Mapping[str, float], at: float) -> None:
        """Queue a step's numbers; the oldest report goes when there is no room."""
        kept = dict(values)
        self._put(lambda: self._tracker().metrics(step, kept, at))

    def catch_up(self, earlier: Callable[[int], Iterable[Report]]) -> None:
        """Queue that a tracker which can say what it has be told what it lacks of what earlier drivers told.

        `earlier` gives the newest reports, so many at most: as many as a driver can have had in its queue.
        """
        if self._made is None or isinstance(self._made, Remembers):
            self._put(lambda: _catch_up(self._tracker(), earlier(self._capacity)))

    def artifact(self, path: Path) -> None:
        """Queue a file."""
        self._put(lambda: self._tracker().artifact(path))

    def over(self, status: str) -> None:
        """Let a tracker that can take more after its end hear of it before all that waits."""
        if self._made is None or isinstance(self._made, EndsFirst):
            with self._condition:
                self._ahead = lambda: _end_first(self._tracker(), status)
                self._condition.notify()

    def finish(self, status: str) -> None:
        """Let the tracker end the run, as soon as it has everything, and no later than the time-out."""
        self._put(lambda: self._tracker().finish(status))
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._hurry.set()
        self._thread.join(self._timeout)
        with self._condition:
            self.lost += len(self._queue) + self._thread.is_alive()
            self._queue.clear()
            self._ahead = None
        if self.lost:
            self._tell(f"{self.name}: {self.lost} reports were lost; metrics.jsonl in the run's folder holds them all")

    def _tracker(self) -> Tracker:
        """Called in the thread. One that could not be made is made at the next try."""
        if self._made is None:
            self._made = self._make()
        return self._made

    def _put(self, call: _Call) -> None:
        with self._condition:
            if len(self._queue) >= self._capacity:
                self._queue.popleft()
                self.lost += 1
            self._queue.append(call)
            self._condition.notify()

    def _run(self) -> None:
        assert self._started is not None
        while not self._attempt(self._started, tries=TRIES):
            if self._hurry.wait(self._longest_pause):
                return
        while (call := self._next()) is not None:
            if not self._attempt(call, tries=TRIES):
                with self._condition:
                    self.lost += 1

    def _next(self) -> _Call | None:
        """The call whose turn it is, as soon as there is one; None once there will be none."""
        with self._condition:
            self._condition.wait_for(lambda: self._ahead is not None or bool(self._queue) or self._closing)
            if (ahead := self._ahead) is not None:
                self._ahead = None
                return ahead
            return self._queue.popleft() if self._queue else None

    def _attempt(self, call: _Call, *, tries: int) -> bool:
        """Make the call, trying again after pauses; whether it went through."""
        pause = self._first_pause
        for left in reversed(range(tries)):
            began = time.monotonic()
            try:
                call()
            except Exception as error:
                self._fails(error)
                if left:
                    self._hurry.wait(max(0.0, pause - (time.monotonic() - began)))
                    pause = min(self._longest_pause, pause * 4)
                continue
            if self._failing:
                self._failing = False
                self._tell(f"{self.name} answers again")
            return True
        return False

    def _fails(self, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            reason = shortened(str(error) or type(error).__name__, 200)
            self._tell(f"{self.name} does not answer ({reason}); the run goes on and tries again")


def _end_first(tracker: Tracker, status: str) -> None:
    """One that was not made yet when the end was told may be none of these."""
    if isinstance(tracker, EndsFirst):
        tracker.finish(status)


def _catch_up(tracker: Tracker, reports: Iterable[Report]) -> None:
    """Begun anew after a failure, it asks anew what is there by then."""
    if not isinstance(tracker, Remembers):
        return
    has = {mark: tracker.told(mark) for mark in MARKS}
    for report in reports:
        if report.mark and report.moment not in has[report.mark]:
            tracker.metrics(report.step, report.values, report.at)
