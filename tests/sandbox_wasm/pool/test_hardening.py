"""What a worker has given up by the time it runs anything: each tried for real, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from sandbox_wasm import hardening
from sandbox_wasm.pool import open_sandbox
from sandbox_wasm.protocol import LiteralJob, RunJob
from tests.sandbox_wasm.pool.jobs import said

#: Each tries something a sealed worker has no business with.
PREVENTED = {
    "open a file": "open('/etc/hostname')",
    "write a file": "open('/tmp/azr-escape', 'w')",
    "list a folder": "os.listdir('/')",
    "delete a file": "os.unlink('/nonexistent-azr')",
    "open a socket": "socket.socket()",
    "open a local socket": "socket.socket(socket.AF_UNIX)",
    "fork": "os.fork()",
    "execute": "os.execv('/bin/true', ['true'])",
    "start a program": "subprocess.run(['/bin/true'])",
    "signal its parent": "os.kill(os.getppid(), 0)",
    "signal everybody": "os.kill(-1, 0)",
    "map new machine code": "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
    "leave its limits": "resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1000))",
    "become somebody else": "os.setuid(65534)",
}

#: Each is what a back end at work does.
ALLOWED = {
    "compute": "sum(range(1000))",
    "map memory": "mmap.mmap(-1, 1 << 20)",
    "start a thread": "[thread.start() or thread.join() for thread in [threading.Thread(target=int)]]",
    "sleep": "time.sleep(0.001)",
    "tell the time": "time.time()",
    "draw random bytes": "os.urandom(8)",
}

_PROGRAM = """
import json, mmap, os, resource, socket, subprocess, sys, threading, time
sys.path[:] = sys.argv[2:]
from sandbox_wasm import hardening
hardening.lock_in(hardening.SEALED)
found = {}
for name, attempt in json.loads(sys.argv[1]).items():
    try:
        exec(attempt)
        found[name] = "possible"
    except (OSError, ValueError) as error:
        found[name] = "prevented"
print(json.dumps(found), flush=True)
os._exit(0)
"""


def try_sealed(attempts: dict[str, str]) -> dict[str, str]:
    path = [folder for folder in sys.path if folder]
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, json.dumps(attempts), *path],
        capture_output=True,
        timeout=60,
        text=True,
        check=True,
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def report() -> dict[str, str]:
    found = hardening.report()
    if found["system-call filter"] != "on":
        pytest.skip(f"kernel feature: no seccomp filter ({found['system-call filter']})")
    return found


def test_a_sealed_process_can_reach_nothing(report: dict[str, str]) -> None:
    assert try_sealed(PREVENTED) == dict.fromkeys(PREVENTED, "prevented")


def test_a_sealed_process_can_still_work(report: dict[str, str]) -> None:
    assert try_sealed(ALLOWED) == dict.fromkeys(ALLOWED, "possible")


def test_the_report_says_what_holds_and_what_was_prevented(report: dict[str, str]) -> None:
    assert report["opening a file"] == report["opening a socket"] == report["starting a process"] == "prevented"
    assert report["no new privileges"] == "on"


def test_a_profile_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="known are sealed, forking and none"):
        hardening.lock_in("sealled")


@pytest.mark.parametrize("instances", ["fresh", "restored"])
def test_the_wasm_back_end_works_sealed_in_with_every_kind_of_job(instances: str) -> None:
    with open_sandbox("wasm", 1, instances=instances) as pool:
        jobs = [RunJob(program=f"def f(x):\n    return x + {k}", inputs=("1", "2")) for k in range(20)]
        results = list(pool.run_many([*jobs, LiteralJob(texts=("{2, 1}",))]))
        assert said(results[0]) == ["1", "2"]
        assert said(results[19]) == ["20", "21"]
        assert pool.hardening()["system-call filter"] in ("on", hardening.report()["system-call filter"])
        assert pool.hardening()["no network"] == hardening.report()["no network"]
        assert pool.hardening()["no capabilities"] == "on"
        assert pool.statistics().workers_replaced == 0


def test_the_process_back_end_works_locked_in() -> None:
    with open_sandbox("process", 1) as pool:
        (result,) = pool.run_many([RunJob(program="def f(x):\n    return x + 1", inputs=("1", "2"))])
        assert said(result) == ["2", "3"]
        assert pool.hardening()["no new privileges"] == "on"
