"""A process that a test leaves behind is named; what is gone, or Python's own, is not."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from tests.conftest import _left_behind


def test_a_child_that_lives_on_is_named_by_its_command() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)  # forgotten"])
    try:
        lines = _left_behind(os.getpid(), grace=0.5)
        assert any("forgotten" in line and line.startswith(f"{child.pid}: ") for line in lines)
    finally:
        child.kill()
        child.wait(timeout=10)
    assert not any("forgotten" in line for line in _left_behind(os.getpid(), grace=0.0))


def test_a_child_that_is_just_leaving_is_given_time() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.5)  # leaving"]):
        began = time.monotonic()
        while any("leaving" in line for line in _left_behind(os.getpid(), grace=0.0)):
            assert time.monotonic() - began < 30.0
            time.sleep(0.05)


def test_a_child_that_ended_and_was_not_waited_for_is_not_running() -> None:
    child = subprocess.Popen([sys.executable, "-c", "'zombie'"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    try:
        assert not any(line.startswith(f"{child.pid}:") for line in _left_behind(os.getpid(), grace=0.0))
    finally:
        child.wait(timeout=10)
