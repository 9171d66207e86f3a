"""The processes of one run, looked at from outside: who there is by kind, and how much memory each kind holds.

      pid of a driver ──► its descendants ──► kinds (`benchmarks.victims`) ──► whom to kill, who is back, memory

Only descendants of the given process count, so that another run on the machine is never touched.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import psutil

from azr.run.reaper import lives
from benchmarks.victims import DRIVER, ENGINE, FORK_SERVER, kind_of


class Seen(NamedTuple):
    """A living process."""

    kind: str
    """Empty for one that is of no kind we know."""
    process: psutil.Process
    memory: int
    """Resident bytes."""


def seen(root: int) -> list[Seen]:
    """The process of this id and all that descend from it; nothing if it is gone."""
    found: list[Seen] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        top = psutil.Process(root)
        if lives(top):
            found.append(Seen(DRIVER, top, top.memory_info().rss))
        found += [one for child in top.children(recursive=True) for one in _looked_at(child)]
    return found


def of_kind(root: int, kind: str, below: tuple[str, ...] = ()) -> list[psutil.Process]:
    """Living processes of this kind that descend from the given one; with `below`, through one of those kinds."""
    everybody = seen(root)
    if below:
        everybody = [one for above in everybody if above.kind in below for one in seen(above.process.pid)[1:]]
    return [one.process for one in everybody if one.kind == kind]


def title(process: psutil.Process) -> str:
    """What a process calls itself; nothing if it is gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _looked_at(process: psutil.Process) -> Iterator[Seen]:
    with contextlib.suppress(psutil.Error):
        if process.status() != psutil.STATUS_ZOMBIE:
            yield Seen(_kind(process), process, process.memory_info().rss)


def _kind(process: psutil.Process) -> str:
    """Its kind. An engine that could not give itself a title (where the environment leaves no room for one, as under
    `env -i`) looks like the fork server that made it."""
    kind, parent = kind_of(title(process)), process.parent()
    if kind == FORK_SERVER and parent is not None and kind_of(title(parent)) == FORK_SERVER:
        return ENGINE
    return kind
