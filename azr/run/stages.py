"""The stages of starting and stopping: one after the other, each with a deadline and the name of what it waits for.

Owns no waiting itself: whoever waits asks `Stage.remaining` for its time-out, so that every wait ends and its error
names the stage. A ticker thread says every few seconds what is still being waited for.

    with stages.stage("engines", "1 replica to load its model", 600) as stage:
        handle.get(timeout=stage.remaining())

Each deadline is a key's value, and the error says which: to be ready is bounded by `START`, work by `WORK`.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from azr.errors import AzrError

#: Seconds between lines that say what is waited for: often enough to see life, seldom enough for a log.
TICK_SECONDS = 10.0

#: A wait that was given the rest of a stage's time may end a moment early.
_PASSED = 0.95

#: Keys whose values are deadlines: of parts that become ready, and of evaluation and seeding.
START, WORK = "cluster.start_seconds", "cluster.work_seconds"


class StageTimeoutError(AzrError):
    """A part did not become ready in time."""


class Done(NamedTuple):
    """A stage that is over."""

    name: str
    seconds: float


class Stage:
    """One stage under way."""

    def __init__(self, name: str, waits_for: str, deadline: float, key: str, clock: Callable[[], float]) -> None:
        self.name, self.waits_for, self.deadline, self._key = name, waits_for, deadline, key
        self._clock, self._began = clock, clock()

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        return self._clock() - self._began

    def remaining(self, at_most: float | None = None) -> float:
        """Seconds that may still be waited; raises when there are none."""
        left = self.deadline - self.seconds
        if left <= 0.0:
            raise self.timeout()
        return left if at_most is None else min(left, at_most)

    def now(self, waits_for: str) -> None:
        """What is waited for from now on."""
        self.waits_for = waits_for

    def timeout(self, error: TimeoutError | None = None) -> StageTimeoutError:
        """The error that says who was waited for, and how long; `error` came from a wait that had a deadline of its
        own where the stage's has not passed."""
        if error is not None and self.seconds < _PASSED * self.deadline:
            said = str(error) or type(error).__name__
            return StageTimeoutError(
                f"{self.name}: something did not answer while {self.waits_for} was waited for: {said}",
                "look at the logs in the run's folder",
            )
        return StageTimeoutError(
            f"{self.name}: waited {self.seconds:.0f} s for {self.waits_for}",
            f"look at the logs in the run's folder; on a busy machine raise {self._key}",
        )


class Stages:
    """Tells what is going on, and keeps how long each stage took."""

    def __init__(self, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.done: list[Done] = []
        self._tell, self._clock = tell, clock

    @contextlib.contextmanager
    def stage(self, name: str, waits_for: str, deadline: float, key: str = START) -> Iterator[Stage]:
        """A stage, whose deadline is this key's value; a `TimeoutError` inside becomes one that names it
        and says whether it was the stage's own."""
        stage = Stage(name, waits_for, deadline, key, self._clock)
        self._tell(f"{name} … {waits_for}")
        over = threading.Event()
        ticker = threading.Thread(target=self._tick, args=(stage, over), name=f"stage-{name}", daemon=True)
        ticker.start()
        try:
            yield stage
        except TimeoutError as error:
            raise stage.timeout(error) from error
        finally:
            over.set()
            ticker.join()
        self.done.append(Done(name, stage.seconds))
        self._tell(f"{name} ready after {stage.seconds:.1f} s")

    def _tick(self, stage: Stage, over: threading.Event) -> None:
        while not over.wait(TICK_SECONDS):
            self._tell(f"{stage.name} … waiting for {stage.waits_for}, {stage.seconds:.0f} s of {stage.deadline:.0f}")
