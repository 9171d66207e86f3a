"""The fork server leaves nothing that nobody could be told by."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from actors.engine import leftovers
from actors.engine.engine import Engine
from actors.engine.fork_server import modules
from actors.engine.leftovers import socket_folder, sweep
from azr.held_folders import LOCK

OWNER = """
import multiprocessing, time
from actors.engine.fork_server import start_server
start_server([])
child = multiprocessing.get_context("forkserver").Process(target=print, args=("forked",), daemon=True)
child.start()
child.join(60)
print(multiprocessing.util.get_temp_dir(), flush=True)
time.sleep(600)
"""


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder with a path short enough for sockets, which `tmp_path` may not have."""
    with tempfile.TemporaryDirectory(prefix="azr-test-") as folder:
        yield Path(folder)


def test_its_socket_lies_in_its_owners_folder_and_goes_with_it(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(temporary)}
    )
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline().strip() == "forked"
        folder = Path(owner.stdout.readline().strip())
        assert folder == temporary / f"azr-engine-{owner.pid}"
        assert sorted(path.name.partition("-")[0] for path in folder.iterdir()) == [LOCK, "listener"]
        assert list(temporary.glob("pymp-*")) == []
    finally:
        owner.send_signal(signal.SIGKILL)
        owner.wait(30)
    monkeypatch.setattr(leftovers, "_TEMPORARY", temporary)
    assert sweep([owner.pid]) == [str(folder)]
    assert list(temporary.iterdir()) == []


LOADING = """
import multiprocessing, time
from actors.engine.fork_server import start_server
start_server([])
child = multiprocessing.get_context("forkserver").Process(target=time.sleep, args=(600,))
child.start()
print(child.pid, flush=True)
time.sleep(600)
"""


def test_who_is_forked_ends_with_its_owner_though_nobody_told_it_to_watch(temporary: Path) -> None:
    """As an engine that still loads, when its replica is killed."""
    owner = subprocess.Popen(
        [sys.executable, "-c", LOADING], stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(temporary)}
    )
    assert owner.stdout is not None
    child = psutil.Process(int(owner.stdout.readline()))
    owner.send_signal(signal.SIGKILL)
    owner.wait(30)
    try:
        child.wait(30)
    except psutil.TimeoutExpired:
        child.kill()
        pytest.fail("it lives on")


def test_an_engine_on_a_gpu_is_forked_from_what_never_imported_the_worker_for_cpus() -> None:
    """Which puts stand-ins in the place of torch's CUDA events as it is imported."""
    on_gpus, on_cpus = modules(gpu=True), modules(gpu=False)
    assert not [name for name in on_gpus if "cpu" in name]
    assert "vllm.v1.worker.cpu_worker" in on_cpus
    assert on_gpus[0] == on_cpus[0] == "vllm", "it says how CUDA is to be looked for, before torch is asked"


def test_all_that_an_engine_on_this_machine_imports_is_there_to_be_imported() -> None:
    """A module that vLLM moved would be left out in silence, and engines be slow to come back."""
    asked = "import sys, actors.engine.preload as preload; print(*set(preload.modules(gpu=False)) - set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=120, check=True)
    assert told.stdout.split() == []


def test_an_engine_has_no_semaphore_that_would_stay_when_it_is_killed(engine: Engine) -> None:
    """Whoever is to sweep after it must have seen it, and one that was forked a moment ago nobody has."""
    assert [path for pid in engine.pids for path in Path("/dev/shm").glob(f"sem.*{pid}*")] == []


def test_its_workers_find_each_other_in_its_owners_folder(engine: Engine) -> None:
    """Which goes with the owner; the file that vLLM would take lies in /tmp for good once an engine was killed."""
    assert list(socket_folder().glob("meeting-*")) != []
