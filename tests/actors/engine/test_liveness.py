"""Processes that notice each other's death, whatever killed them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

from actors.engine.liveness import DeathWatch
from tests.actors.waiting import until_now

CHECKOUT = Path(__file__).parents[3]


def _sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])


class TestWatching:
    def test_a_killed_process_is_noticed_at_once_and_named(self) -> None:
        one, other = _sleeper(), _sleeper()
        noticed: list[tuple[int, float]] = []
        heard = threading.Event()

        def on_death(pid: int) -> None:
            noticed.append((pid, time.monotonic()))
            heard.set()

        DeathWatch([one.pid, other.pid], on_death)
        killed = time.monotonic()
        one.kill()
        assert heard.wait(5)
        [(pid, at)] = noticed
        assert pid == one.pid
        assert at - killed < 1.0
        other.kill()
        for process in (one, other):
            process.wait(5)

    def test_after_it_is_closed_nothing_is_told(self) -> None:
        process = _sleeper()
        told: list[int] = []
        watch = DeathWatch([process.pid], told.append)
        watch.close()
        process.kill()
        process.wait(5)
        time.sleep(0.1)
        assert told == []


def test_a_process_ends_when_its_parent_is_killed() -> None:
    child = "from actors.engine.liveness import die_with_parent; die_with_parent(); import time; time.sleep(600)"
    parent = (
        "import subprocess, sys, time; "
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}]); print(child.pid, flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True, cwd=CHECKOUT)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    time.sleep(1.0)  # the child has begun to watch
    assert psutil.pid_exists(pid)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(5)

    def gone() -> bool:
        return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE

    until_now(gone, "the child has ended", 10)
