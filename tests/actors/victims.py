"""Finding the processes of a self-play by what they are, to kill them."""

from __future__ import annotations

import os
import signal
import time

import psutil

from actors.players import start as players
from benchmarks.self_play import SelfPlay

#: What the processes of our actors, of replicas and of engines call themselves.
_TITLES = {
    "experience": "ray::ExperienceShard",
    "tasks": "ray::TaskShard",
    "registry": "ray::Registry",
    "replica": "ray::ServeReplica",
    "engine": "EngineCore",
}

KINDS = ("proposer", "solver", "sandbox worker", *_TITLES)


def kill(play: SelfPlay, kind: str, number: int, wait_seconds: float = 60.0) -> int:
    """SIGKILL one process of this kind, waiting for one to be there; returns its id."""
    deadline = time.monotonic() + wait_seconds
    while not (found := pids(play, kind)):
        assert time.monotonic() < deadline, f"there is no {kind} to kill"
        time.sleep(0.1)
    victim = found[number % len(found)]
    os.kill(victim, signal.SIGKILL)
    return victim


def pids(play: SelfPlay, kind: str) -> list[int]:
    """Process ids of this kind."""
    if kind in ("proposer", "solver", "sandbox worker"):
        reports = players.reports(play.players, deadline_seconds=5.0).values()
        if kind == "sandbox worker":
            return [pid for report in reports for pid in report.sandbox_workers]
        return [report.pid for report in reports if report.name.startswith(kind)]
    return [
        process.pid
        for process in psutil.Process().children(recursive=True)
        if _TITLES[kind] in _title(process) and process.status() != psutil.STATUS_ZOMBIE
    ]


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
