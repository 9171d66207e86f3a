"""Locks a worker in before it runs anything hostile: what it may not do even if a program got out of its interpreter.

The interpreter inside WebAssembly is the wall; this is the ditch behind it. A back end says by its attribute
`hardening` which profile suits it; the worker applies it once the back end is built and prepared. Every measure is
tried by itself: on a kernel that lacks one the others still hold, and the report says so.

      profile   for                                              what holds
      sealed    a back end that has all it needs (wasm)          no network, rlimits, no privileges, no capabilities,
                                                                 no debugger, seccomp allow-list
      forking   one whose processes lock themselves in (process) no core files, no privileges, no debugger
      none      one that looks after itself                      nothing but dying with the pool

`report` tries the sealed profile in a process of its own and tells what it prevents there; `azr doctor` prints it.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from sandbox_wasm import confinement, seccomp

SEALED = "sealed"
FORKING = "forking"
NONE = "none"

#: Address space of a sealed worker. wasmtime reserves, without using, 4 GiB and guard regions for each instance.
ADDRESS_SPACE_BYTES = 64 << 30

#: Open files beyond those a sealed worker has when it is locked in.
SPARE_FILES = 8

#: Longest file a sealed worker can write. It can open none; this is for memory files, in which restored instances keep
#: what they are refilled from.
FILE_BYTES = 256 << 20

#: How long `report` may take; it starts an interpreter and does nothing with it.
REPORT_SECONDS = 30.0


def leave(profile: str) -> dict[str, str]:
    """What is given up while the process still has one thread, before the back end is prepared."""
    return {"no network": _tried(confinement.leave_network)} if profile == SEALED else {}


def lock_in(profile: str) -> dict[str, str]:
    """Give up for good what the profile's back ends do not need; says for each measure whether it holds."""
    if profile == NONE:
        return {}
    if profile not in (SEALED, FORKING):
        raise ValueError(f"a back end's `hardening` is {profile!r}; known are {SEALED}, {FORKING} and {NONE}")
    measures: dict[str, Callable[[], object]] = {
        "first to go when memory is short": confinement.first_to_go_when_memory_is_short,
        "no new privileges": confinement.no_new_privileges,
        "no debugger": confinement.hide_memory,
        "resource limits": lambda: _limit_resources(profile),
    }
    if profile == SEALED:
        measures["no capabilities"] = confinement.drop_capabilities  # of this thread, the one that runs guests
        measures["system-call filter"] = lambda: seccomp.deny_system_calls(seccomp.SEALED)
    return {name: _tried(measure) for name, measure in measures.items()}


def report() -> dict[str, str]:
    """What the sealed profile prevents on this machine, found out by trying it in a process of its own."""
    program = "import sys; sys.path[:] = sys.argv[1:]; from sandbox_wasm.hardening import _try_sealed; _try_sealed()"
    path = [folder for folder in sys.path if folder]
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", program, *path], capture_output=True, timeout=REPORT_SECONDS, check=True
        )
        found: dict[str, str] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return {"hardening": f"could not be tried: {error}"}
    return found


def _try_sealed() -> None:
    """The process of `report`: lock in, then try what should not work any more, and print both."""
    found = leave(SEALED) | lock_in(SEALED)
    attempts: dict[str, Callable[[], object]] = {
        "opening a file": lambda: os.open("/etc/hostname", os.O_RDONLY),
        "opening a socket": lambda: socket.socket().close(),
        "starting a process": lambda: os.waitpid(os.fork() or os._exit(0), 0),
        "signalling another process": lambda: os.kill(os.getppid(), 0),
    }
    for name, attempt in attempts.items():
        found[name] = "prevented" if _tried(attempt) != "on" else "possible"
    sys.stdout.write(json.dumps(found))
    sys.stdout.flush()


def _tried(measure: Callable[[], object]) -> str:
    try:
        held = measure()
    except (OSError, ValueError) as error:
        return f"refused: {error}"
    return "refused" if held is False else "on"


def _limit_resources(profile: str) -> None:
    if profile != SEALED:
        confinement.limit_resources()
        return
    highest = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    confinement.limit_resources(address_space=ADDRESS_SPACE_BYTES, open_files=highest + 1 + SPARE_FILES)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # Writing beyond it shall fail, not kill.
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
