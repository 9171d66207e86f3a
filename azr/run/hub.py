"""Where the learner and the driver meet: reports of steps one way, the wishes to begin and to stop the other.

A small Ray actor, because rank 0 of the learner may run on another machine and is replaced when it dies. It decides
nothing and holds little; if it dies Ray starts it again empty, the driver's next call tells it anew what it wishes, and
rank 0, as long as it waits for players, which weights the engines were given.

    rank 0 ── report(step, part, bytes) ──► Hub ── drain(stop, playing, heard) ──► driver
    rank 0 ◄── stopping(), playing() ───────┘

Nobody waits in it: every call answers at once. What a drain hands over is kept until the next one says that it was
heard: an answer that comes too late, on a busy machine, is heard by nobody.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

logger = logging.getLogger(__name__)

#: Steps kept for a driver that does not drain; older ones are in nobody's way any more.
KEPT_STEPS = 1000
#: How long rank 0 waits for an answer before it takes the hub for busy.
ANSWER_SECONDS = 10.0


class StepParts(NamedTuple):
    """All that was reported of one step."""

    step: int
    parts: dict[str, bytes]


class Drained(NamedTuple):
    """What happened since the last drain."""

    steps: list[StepParts]
    published: int
    """Step of the newest weights that engines were given; -1 before the first."""
    news: list[str]
    loose: list[bytes]
    """Accumulators that belong to no step in particular."""
    failure: str = ""
    """Why the run cannot go on, where that is no fault of the ranks, which would only be restarted for it."""
    mend: str = ""
    """What to do about that."""
    number: int = 0
    """Of this drain; whoever heard it says so with the next one."""


class Board:
    """The hub's state; pure."""

    def __init__(self, number: int = 0) -> None:
        """`number`: what drains are counted from, another for each life of a hub."""
        self.stop = ""
        self.failure = self.mend = ""
        self.playing = False
        self.published = -1
        self._open: dict[int, dict[str, bytes]] = {}
        self._done: list[StepParts] = []
        self._news: list[str] = []
        self._loose: list[bytes] = []
        self._handed = Drained([], -1, [], [], number=number)
        """What the last drain answered."""

    def report(self, step: int, part: str, content: bytes, last: bool) -> None:
        """A part of a step's report; the last one completes it."""
        parts = self._open.setdefault(step, {})
        parts[part] = content
        if last:
            self._done.append(StepParts(step, self._open.pop(step)))
            del self._done[:-KEPT_STEPS]
            # A restart of the ranks leaves parts of steps that were never completed.
            self._open = {other: kept for other, kept in self._open.items() if other > step}

    def publish(self, step: int) -> None:
        """Engines were given the weights of this step."""
        self.published = step

    def plays(self, published: int) -> bool:
        """Whether players play; who asks tells again what it has published, -1 for nothing yet."""
        if published >= 0:
            self.published = published
        return self.playing

    def say(self, line: str) -> None:
        """Something a person should read."""
        self._news.append(line)
        del self._news[:-KEPT_STEPS]

    def fail(self, why: str, mend: str) -> None:
        """The run cannot go on."""
        if not self.failure:
            self.failure, self.mend = why, mend

    def add(self, content: bytes) -> None:
        """Metrics of whatever happened beside the steps."""
        self._loose.append(content)
        del self._loose[:-KEPT_STEPS]

    def drain(self, stop: str, playing: bool, heard: int = -1) -> Drained:
        """Everything since the drain of which it is said that it was heard, the one before or none; `stop` is the
        driver's wish, or empty; `playing`: there are players."""
        self.stop, self.playing = stop, playing
        steps, self._done = self._done, []
        news, self._news = self._news, []
        loose, self._loose = self._loose, []
        before = self._handed
        if before.number != heard:
            steps = [*before.steps, *steps][-KEPT_STEPS:]
            news, loose = [*before.news, *news][-KEPT_STEPS:], [*before.loose, *loose][-KEPT_STEPS:]
        self._handed = Drained(steps, self.published, news, loose, self.failure, self.mend, before.number + 1)
        return self._handed


class HubClient:
    """The hub as rank 0 and the driver hold it. Travels to other processes."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self._published = -1
        """By this client; what it tells again."""
        self._heard = -1
        """Number of the last drain that was answered in time."""

    def report(self, step: int, parts: Mapping[str, bytes], *, last: bool) -> None:
        """Send parts of a step's report; nobody waits for it to arrive."""
        for index, (part, content) in enumerate(sorted(parts.items())):
            self.actor.report.remote(step, part, content, last and index == len(parts) - 1)

    def publish(self, step: int) -> None:
        """Tell that engines were given these weights."""
        self._published = step
        self.actor.publish.remote(step)

    def say(self, line: str) -> None:
        """Tell something a person should read."""
        self.actor.say.remote(line)

    def fail(self, why: str, mend: str) -> None:
        """Tell that the run cannot go on, and what to do about it."""
        self.actor.fail.remote(why, mend)

    def add(self, content: bytes) -> None:
        """Send metrics that belong to no step."""
        self.actor.add.remote(content)

    def stopping(self) -> str:
        """Why the run is to end with this step; empty when it is not. A hub that is away is taken for silence."""
        answer: str = self._asked("", "stopping")
        return answer

    def playing(self) -> bool:
        """Whether players play, so that a batch can be waited for. A hub that is away is taken for a no.

        Players are let in once weights are published, which a hub that was restarted since does not know any more.
        """
        answer: bool = self._asked(False, "playing", self._published)
        return answer

    def _asked(self, otherwise: Any, question: str, *told: Any) -> Any:
        import ray
        from ray.exceptions import RayError

        try:
            return ray.get(getattr(self.actor, question).remote(*told), timeout=ANSWER_SECONDS)
        except RayError as error:
            logger.warning("the hub does not answer: %s", type(error).__name__)
            return otherwise

    def drain(self, stop: str = "", *, playing: bool = False, timeout: float = ANSWER_SECONDS) -> Drained | None:
        """What happened since the last time that was answered; None when the hub is being restarted, or busy."""
        import ray
        from ray.exceptions import RayError

        try:
            drained = Drained(*ray.get(self.actor.drain.remote(stop, playing, self._heard), timeout=timeout))
        except RayError:
            return None
        self._heard = drained.number
        return drained


def start_hub(name: str) -> HubClient:
    """Start the actor in the present Ray."""
    import ray

    class Hub:
        """The actor around the board."""

        def __init__(self) -> None:
            self._board = Board(time.time_ns())

        def report(self, step: int, part: str, content: bytes, last: bool) -> None:
            self._board.report(step, part, content, last)

        def publish(self, step: int) -> None:
            self._board.publish(step)

        def say(self, line: str) -> None:
            self._board.say(line)

        def fail(self, why: str, mend: str) -> None:
            self._board.fail(why, mend)

        def add(self, content: bytes) -> None:
            self._board.add(content)

        def stopping(self) -> str:
            return self._board.stop

        def playing(self, published: int) -> bool:
            return self._board.plays(published)

        def drain(self, stop: str, playing: bool, heard: int) -> Drained:
            return self._board.drain(stop, playing, heard)

    options = {"num_cpus": 0, "name": name, "max_restarts": -1, "max_task_retries": 2}
    return HubClient(ray.remote(Hub).options(**options).remote())
