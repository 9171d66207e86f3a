"""What a Linux process can give up before hostile code runs in it. Each measure says whether it holds.

Called by the process back end's zygote and children, and by whoever locks a worker in. Pure standard library, imports
nothing of this package (the zygote loads it by path), and best effort throughout: an older kernel or another machine
lacks a measure, and the caller learns which from the value returned. The filter is in `sandbox_wasm.seccomp`.

    limit_resources     memory, CPU time, files, processes, cores         every Unix
    read_only_below     no file but those below some folders (Landlock)   Linux 5.13
    leave_network       a network namespace without any interface         root, or where user namespaces are allowed
    drop_capabilities   root without root's powers                        Linux
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import platform
import resource
import struct
from collections.abc import Iterable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38

#: What is added to a process's score: the most there is.
_OUT_OF_MEMORY_SCORE = 1000

_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_NEWIPC = 0x10000000, 0x40000000, 0x08000000

_SYS_LANDLOCK = 444  # and the two after it, the same on all machines


def limit_resources(
    *,
    address_space: int | None = None,
    cpu_seconds: int | None = None,
    open_files: int | None = None,
    processes: int | None = None,
) -> None:
    """Set the limits given, hard and soft, never above what is allowed already. No core is ever dumped."""
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_AS: address_space,
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_NOFILE: open_files,
        resource.RLIMIT_NPROC: processes,
    }
    for which, value in wanted.items():
        if value is not None:
            _, hard = resource.getrlimit(which)
            limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(which, (limit, limit))


def first_to_go_when_memory_is_short() -> bool:
    """Have the kernel's out-of-memory killer take this process and its descendants before the trainer beside them."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(_OUT_OF_MEMORY_SCORE))
        return True
    return False


def no_new_privileges() -> bool:
    """Nothing run from here on can gain privileges, by set-uid files or otherwise."""
    return _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def hide_memory() -> bool:
    """No debugger, no reading through /proc by processes of the same user."""
    return _prctl(_PR_SET_DUMPABLE, 0)


def signal_when_parent_dies(signal_number: int) -> bool:
    """Have the kernel send this process a signal when the thread that made it ends."""
    return _prctl(_PR_SET_PDEATHSIG, signal_number)


def adopt_orphans() -> bool:
    """Become the parent of descendants whose own parent has died, so that none can slip away."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def leave_network() -> bool:
    """Move to a network namespace of one's own, which has no interface, and to an empty System V name space.

    Who is not root needs a user namespace for it, which a process with several threads cannot enter; users keep their
    numbers there, so that whose a file is can still be told.
    """
    libc = _libc()
    alone = _CLONE_NEWNET | _CLONE_NEWIPC
    if libc.unshare(alone) == 0:
        return True
    user, group = os.geteuid(), os.getegid()
    if not os.access("/proc/self/uid_map", os.W_OK) or libc.unshare(_CLONE_NEWUSER | alone) != 0:
        return False
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    return True


def drop_capabilities() -> bool:
    """Give up every capability, so that a root process is a common one that owns root's files."""
    header = struct.pack("<Ii", 0x20080522, 0)
    capset = {"x86_64": 126, "aarch64": 91}.get(platform.machine())
    return capset is not None and _libc().syscall(capset, header, bytes(24)) == 0


def read_only_below(folders: Iterable[str]) -> bool:
    """From here on, only files below these folders can be opened, and only to be read. Needs `no_new_privileges`."""
    rules = rules_of_reading(folders)
    if rules is None:
        return False
    try:
        return obey(rules)
    finally:
        os.close(rules)


def obey(rules: int) -> bool:
    """From here on these rules hold, besides those that hold already. Needs `no_new_privileges`."""
    return bool(_libc().syscall(_SYS_LANDLOCK + 2, rules, 0) == 0)


def rules_of_reading(folders: Iterable[str]) -> int | None:
    """What `read_only_below` says of these folders, as a descriptor for `obey`, here or in a child at the cost of one
    system call. None where the kernel has no Landlock."""
    libc = _libc()
    version = libc.syscall(_SYS_LANDLOCK, None, 0, 1)
    if version < 1:
        return None
    handled = (1 << {1: 13, 2: 14}.get(version, 15)) - 1  # every right over files the kernel knows up to version 3
    read_file, read_folder = 1 << 2, 1 << 3
    attributes = struct.pack("<Q", handled)
    ruleset = libc.syscall(_SYS_LANDLOCK, attributes, len(attributes), 0)
    if ruleset < 0:
        return None
    for folder in folders:
        try:
            parent = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # a folder that does not exist needs no permission
        rule = struct.pack("<Qi", read_file | read_folder, parent)
        taken = libc.syscall(_SYS_LANDLOCK + 1, ruleset, 1, rule, 0) == 0
        os.close(parent)
        if not taken:
            os.close(ruleset)
            return None
    return int(ruleset)


def _prctl(option: int, argument: int) -> bool:
    return bool(_libc().prctl(option, argument, 0, 0, 0) == 0)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
