"""The processes of a run are those that descend from it, and no others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from azr.run.reaper import lives
from benchmarks.processes import of_kind, seen, title
from benchmarks.victims import DRIVER

#: A "solver" that has a "sandbox worker", and beside it a sandbox worker that is nobody's we know.
_CHILD = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', sys.argv[1]]); time.sleep(60)"
_WORKER = "import time\nif 0:\n    from sandbox_wasm.worker import main\ntime.sleep(60)"


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[bytes]]:
    parent = subprocess.Popen([sys.executable, "-c", _CHILD, _WORKER, "ray::Solver"])
    try:
        while not of_kind(parent.pid, "sandbox worker"):
            assert parent.poll() is None
        yield parent
    finally:
        for process in [*psutil.Process(parent.pid).children(recursive=True), parent]:
            process.kill()
        parent.wait()


def test_descendants_are_seen_with_their_kind_and_memory(parent: subprocess.Popen[bytes]) -> None:
    found = seen(parent.pid)
    assert [one.kind for one in found] == [DRIVER, "sandbox worker"]
    assert all(one.memory > 1 << 20 for one in found)


def test_a_kind_below_another_is_found_there_only(parent: subprocess.Popen[bytes]) -> None:
    found = of_kind(os.getpid(), "sandbox worker", below=("solver",))
    assert parent.pid in [worker.ppid() for worker in found]
    assert of_kind(os.getpid(), "sandbox worker", below=("proposer",)) == []


def test_the_dead_are_not_seen(parent: subprocess.Popen[bytes]) -> None:
    (worker,) = of_kind(parent.pid, "sandbox worker")
    worker.kill()
    while lives(worker):
        pass
    assert of_kind(parent.pid, "sandbox worker") == [], "its parent has not waited for it: a zombie"
    assert seen(2**22 + 1) == []
    assert title(psutil.Process()) != ""


def test_an_engine_that_could_not_give_itself_a_title_is_known_by_the_fork_server_that_made_it() -> None:
    worker = "import time\nif 0:\n    import multiprocessing.forkserver\ntime.sleep(60)"
    server = subprocess.Popen([sys.executable, "-c", _CHILD, worker, "multiprocessing.forkserver"])
    try:
        # Below the server only: the engines of other tests, and their fork servers, descend from this process too.
        while not (engines := of_kind(server.pid, "engine")):
            assert server.poll() is None
        assert [engine.ppid() for engine in engines] == [server.pid]
        assert server.pid in [one.pid for one in of_kind(os.getpid(), "fork server")]
    finally:
        for process in [*psutil.Process(server.pid).children(recursive=True), server]:
            process.kill()
        server.wait()
