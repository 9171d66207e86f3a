"""Processes that depend on each other notice each other's death: at once, whatever killed it.

vLLM's front end learns of its engine's death within a second and then spends several more on an orderly farewell to
a process that is gone; meanwhile its requests hang, and so do their callers. And an engine whose front end was killed
would live on, holding its memory. Both are prevented here.

    replica ── watches (pidfd) ──► engine process      dies: `on_death` at once
    replica ◄── watches (pidfd, `forks`) ── engine process  dies: the engine ends itself
    engine process ◄── watches (parent id) ── its workers   dies: they end themselves
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Sequence

#: How often a child looks whether its parent is still there. There is no event to wait for.
_PARENT_SECONDS = 0.5


class DeathWatch:
    """Calls `on_death(pid)`, once, from a thread of its own as soon as one of the processes ends."""

    def __init__(self, pids: Sequence[int], on_death: Callable[[int], None]) -> None:
        self._descriptors = {os.pidfd_open(pid): pid for pid in pids}
        self._wake, self._closing = os.pipe()
        self._lock = threading.Lock()
        self._on_death = on_death
        self._thread = threading.Thread(target=self._run, name="death-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Watch no longer: what ends from now on ends on purpose."""
        self._let_go(b".")
        self._thread.join()

    def _let_go(self, last: bytes = b"") -> None:
        """Close the pipe's writing end, once, whoever of the two threads comes first. Its reading end is open until
        then."""
        with self._lock:
            if self._closing >= 0:
                os.write(self._closing, last)
                os.close(self._closing)
            self._closing = -1

    def _run(self) -> None:
        poll = select.poll()
        for descriptor in (*self._descriptors, self._wake):
            poll.register(descriptor, select.POLLIN)
        ended = [descriptor for descriptor, _ in poll.poll()]
        self._let_go()
        for descriptor in (*self._descriptors, self._wake):
            os.close(descriptor)
        if self._wake not in ended:
            self._on_death(self._descriptors[ended[0]])


def end_with(pidfd: int) -> None:
    """End this process as soon as the one behind the descriptor has ended."""

    def watch() -> None:
        select.select([pidfd], [], [])
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="owner-watch", daemon=True).start()


def die_with_parent() -> None:
    """End this process when its parent has ended. A thread that asks, since the kernel's own signal would come when
    the parent's *thread* that started it ends."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
