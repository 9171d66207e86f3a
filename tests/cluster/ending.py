"""Ends a `ray start` and whoever came of it."""

from __future__ import annotations

import signal
import subprocess

import psutil

#: A node on which Serve ran may hang in its own end.
LEAVE_SECONDS = 3.0


def end(node: subprocess.Popen[bytes]) -> None:
    """Ask the node to leave, and kill whoever of its family has not left in time."""
    family = [node.pid, *(child.pid for child in psutil.Process(node.pid).children(recursive=True))]
    node.send_signal(signal.SIGTERM)
    try:
        node.wait(LEAVE_SECONDS)
    except subprocess.TimeoutExpired:
        node.kill()
        node.wait(10)
    for pid in family:
        try:
            psutil.Process(pid).kill()
        except psutil.NoSuchProcess:
            continue
