"""Which cores a run's two sides may use, and how much processor time each takes: looked at from outside.

    azr train ──► all its descendants ──┬─ the learner's rank ──► learning ──► its cores    │ at, seconds of each side
                                        └─ everybody else ──────► playing ───► theirs       ▼ NAME.cores.jsonl

Everybody else is engine, players, sandbox workers, services and the driver: what it takes to make a batch. A run that
is bound begins on the playing cores, so that every part that asks how many cores it has (the learner's threads, the
sandbox's workers) is told of those; the learner's rank is then moved to its own. A look at /proc costs some twenty
milliseconds, and there is one every two seconds.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import psutil

#: Seconds between two looks. New threads and processes inherit their cores, so only a new rank has to be found.
LOOK_SECONDS = 2.0
#: What Ray calls the process of a learner's rank.
LEARNER = "RayTrainWorker"


class Cores(NamedTuple):
    """Which cores each side may use."""

    playing: frozenset[int]
    learning: frozenset[int]

    @classmethod
    def one_each(cls) -> Cores:
        """The first two cores of this process, one for each side."""
        first, second, *_ = sorted(os.sched_getaffinity(0))
        return cls(frozenset({first}), frozenset({second}))

    @classmethod
    def shared(cls) -> Cores:
        """The same two cores, both for whichever side wants them."""
        both = frozenset(sorted(os.sched_getaffinity(0))[:2])
        return cls(both, both)


class Look(msgspec.Struct, frozen=True):
    """Processor time that the sides have taken since the run began."""

    at: float
    """Seconds since 1970, as the run's own metrics are dated."""
    playing: float
    learning: float


class Spent(NamedTuple):
    """What a stretch of a run took."""

    wall: float
    playing: float
    learning: float

    @property
    def busy(self) -> float:
        """Cores that were at work, on average."""
        return (self.playing + self.learning) / self.wall


class Tally:
    """Adds up processor time by side, of processes that come and go and become what they are only later."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, float], float] = {}
        self.seconds = {"playing": 0.0, "learning": 0.0}

    def add(self, process: tuple[int, float], side: str, seconds: float) -> None:
        """A process, by its number and when it began, has taken so much in all; what is new goes to its side."""
        self.seconds[side] += max(0.0, seconds - self._known.get(process, 0.0))
        self._known[process] = seconds

    def look(self, at: float) -> Look:
        """The sums."""
        return Look(at, self.seconds["playing"], self.seconds["learning"])


def side_of(words: list[str]) -> str:
    """The side of a process with this command line, whose first word Ray makes its title."""
    return "learning" if any(LEARNER in title for title in words[:1]) else "playing"


@contextlib.contextmanager
def watched(driver: int, path: Path, cores: Cores | None = None, *, every: float = LOOK_SECONDS) -> Iterator[None]:
    """Watch a run from its driver's start to its end; bind its sides where cores are named."""
    if cores is not None:
        os.sched_setaffinity(driver, cores.playing)
    over = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(driver, path, cores, every, over), name="azr-bench-cores", daemon=True
    )
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _watch(driver: int, path: Path, cores: Cores | None, every: float, over: threading.Event) -> None:
    tally, ending = Tally(), False
    with path.open("wb", buffering=0) as file:
        while True:
            with contextlib.suppress(psutil.NoSuchProcess):
                root = psutil.Process(driver)
                for process in [root, *root.children(recursive=True)]:
                    _count(process, tally, cores)
            file.write(msgspec.json.encode(tally.look(time.time())) + b"\n")
            if ending:  # the run's last steps lie before this look
                return
            ending = over.wait(every)


def _count(process: psutil.Process, tally: Tally, cores: Cores | None) -> None:
    """One process: its time, and its cores if it is the learner's."""
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError):
        times, side = process.cpu_times(), side_of(process.cmdline())
        tally.add((process.pid, process.create_time()), side, times.user + times.system)
        if cores is not None and side == "learning":
            for thread in process.threads():
                with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
                    os.sched_setaffinity(thread.id, cores.learning)


def read_looks(path: Path) -> list[Look]:
    """All looks at a run; none where nobody looked."""
    return [msgspec.json.decode(line, type=Look) for line in path.read_bytes().splitlines()] if path.exists() else []


def spent(looks: list[Look], begin: float, end: float) -> Spent | None:
    """What the sides took between two moments, each looked up between its two nearest looks; None outside them."""
    first, last = _at(looks, begin), _at(looks, end)
    if first is None or last is None:
        return None
    return Spent(end - begin, last.playing - first.playing, last.learning - first.learning)


def _at(looks: list[Look], moment: float) -> Look | None:
    for before, after in itertools.pairwise(looks):
        if before.at <= moment <= after.at:
            share = (moment - before.at) / (after.at - before.at) if after.at > before.at else 0.0
            return Look(
                moment,
                before.playing + share * (after.playing - before.playing),
                before.learning + share * (after.learning - before.learning),
            )
    return None
