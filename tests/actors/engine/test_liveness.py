"""Processes that notice each other's death, whatever killed them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from actors.engine.liveness import DeathWatch
from tests.actors.waiting import until_now

CHECKOUT = Path(__file__).parents[3]


def _sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])


def _descriptors() -> set[str]:
    """Pipes, and processes watched, that this process holds."""
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that lists them
            link = str(path.readlink())
            if link.startswith("pipe:"):
                found.add(link)
            elif "pidfd" in link:
                found.add(f"{path.name} {link}")
    return found


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


class TestWhatItHolds:
    """A replica that lives for weeks has many engines."""

    def test_is_let_go_when_it_is_closed(self) -> None:
        process = _sleeper()
        before = _descriptors()
        watch = DeathWatch([process.pid], lambda _pid: None)
        assert len(_descriptors() - before) == 2, "a pipe and the process"
        watch.close()
        watch.close()
        assert _descriptors() <= before
        process.kill()
        process.wait(5)

    @pytest.mark.parametrize("closed", [False, True], ids=["and nobody closes it", "and it is closed afterwards"])
    def test_is_let_go_when_a_process_ends(self, closed: bool) -> None:
        process = _sleeper()
        before = _descriptors()
        heard = threading.Event()
        watch = DeathWatch([process.pid], lambda _pid: heard.set())
        process.kill()
        assert heard.wait(5)
        if closed:
            watch.close()
        assert _descriptors() <= before
        process.wait(5)


def test_a_process_ends_when_its_parent_is_killed() -> None:
    child = (
        "from actors.engine.liveness import die_with_parent; die_with_parent(); print('watches', flush=True); "
        "import time; time.sleep(600)"
    )
    parent = (
        "import subprocess, sys, time; "
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}]); print(child.pid, flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True, cwd=CHECKOUT)
    assert process.stdout is not None
    watches, told = sorted((process.stdout.readline().strip(), process.stdout.readline().strip()), key=str.isdigit)
    assert watches == "watches"
    pid = int(told)
    assert psutil.pid_exists(pid)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(5)

    def gone() -> bool:
        return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE

    until_now(gone, "the child has ended", 10)
