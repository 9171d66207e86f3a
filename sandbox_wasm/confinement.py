"""What a Linux process can give up before hostile code runs in it. Each measure says whether it holds.

Called by the process back end's zygote and children, and by whoever locks a worker in. Pure standard library, imports
nothing of this package (the zygote loads it by path), and best effort throughout: an older kernel or another machine
lacks a measure, and the caller learns which from the value returned.

    limit_resources     memory, CPU time, files, processes, cores         every Unix
    deny_system_calls   an allow-list, enforced by the kernel (seccomp)   Linux 3.17, x86-64 and AArch64
    read_only_below     no file but those below some folders (Landlock)   Linux 5.13
    leave_network       a network namespace without any interface         root, or where user namespaces are allowed
    drop_capabilities   root without root's powers                        Linux
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
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

#: Numbers of system calls on x86-64 and AArch64; None where the machine has no such call.
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "mmap": (9, 222),
    "munmap": (11, 215),
    "brk": (12, 214),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "futex": (202, 98),
    "lseek": (8, 62),
    "fstat": (5, 80),
    "newfstatat": (262, 79),
    "stat": (4, None),
    "lstat": (6, None),
    "statx": (332, 291),
    "getdents64": (217, 61),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "rt_sigpending": (127, 136),
    "rt_sigtimedwait": (128, 137),
    "sigaltstack": (131, 132),
    "pread64": (17, 67),
    "readv": (19, 65),
    "access": (21, None),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "getcwd": (79, 17),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115),
    "restart_syscall": (219, 128),
    "pause": (34, None),
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
    "alarm": (37, None),
    "getitimer": (36, 102),
    "setitimer": (38, 103),
    "getpid": (39, 172),
    "getppid": (110, 173),
    "gettid": (186, 178),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "getpgrp": (111, None),
    "getpgid": (121, 155),
    "getsid": (124, 156),
    "uname": (63, 160),
    "dup": (32, 23),
    "sysinfo": (99, 179),
    "times": (100, 153),
    "getrusage": (98, 165),
    "getrlimit": (97, 163),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "getrandom": (318, 278),
    "getcpu": (309, 168),
    "membarrier": (324, 283),
    "rseq": (334, 293),
    "set_robust_list": (273, 99),
    "exit": (60, 93),
    "exit_group": (231, 94),
    # Looked at more closely, below.
    "open": (2, None),
    "openat": (257, 56),
    "fcntl": (72, 25),
    "kill": (62, 129),
    "tgkill": (234, 131),
    "prlimit64": (302, 261),
    "clone3": (435, 435),
    # For callers that ask for them.
    "clone": (56, 220),
    "wait4": (61, 260),
    "writev": (20, 66),
    "sendto": (44, 206),
    "recvfrom": (45, 207),
    "sendmsg": (46, 211),
    "recvmsg": (47, 212),
    "ioctl": (16, 29),
    "pidfd_open": (434, 434),
}
_ON_REQUEST = ("clone", "wait4", "writev", "sendto", "recvfrom", "sendmsg", "recvmsg", "ioctl", "pidfd_open")
_EXAMINED = ("open", "openat", "fcntl", "kill", "tgkill", "prlimit64", "clone3")

#: What computing, and reading files that may be read, needs. No file is opened for writing, no socket, no process, no
#: thread is made, nothing outside is signalled.
COMPUTE = frozenset(_NUMBERS) - frozenset(_ON_REQUEST)

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_SYS_LANDLOCK = 444  # and the two after it, the same on all machines

_ALLOW = 0x7FFF0000
_DENY = 0x00050000 | errno.EPERM
_UNKNOWN = 0x00050000 | errno.ENOSYS
_KILL = 0x80000000

_LOAD, _EQUAL, _AND, _RETURN = 0x20, 0x15, 0x54, 0x06
_OFFSET_NUMBER, _OFFSET_MACHINE, _OFFSET_ARGUMENTS = 0, 4, 16

#: `fcntl` commands that touch nothing but the descriptor: F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC.
#: F_SETOWN and F_SETSIG would let a process have others signalled.
_FCNTL_COMMANDS = (0, 1, 2, 3, 4, 1030)
_OPENING_FOR_CHANGE = (
    os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | 0o20000000
)  # O_TMPFILE's own bit


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
    """Move to a network namespace of one's own, which has no interface, and to an empty System V name space."""
    libc = _libc()
    alone = _CLONE_NEWNET | _CLONE_NEWIPC
    return bool(libc.unshare(alone) == 0 or libc.unshare(_CLONE_NEWUSER | alone) == 0)


def drop_capabilities() -> bool:
    """Give up every capability, so that a root process is a common one that owns root's files."""
    header = struct.pack("<Ii", 0x20080522, 0)
    capset = {"x86_64": 126, "aarch64": 91}.get(platform.machine())
    return capset is not None and _libc().syscall(capset, header, bytes(24)) == 0


def can_confine_files() -> bool:
    """Whether the kernel has Landlock, without which `read_only_below` does nothing."""
    return bool(_libc().syscall(_SYS_LANDLOCK, None, 0, 1) >= 1)


def read_only_below(folders: Iterable[str]) -> bool:
    """From here on, only files below these folders can be opened, and only to be read. Needs `no_new_privileges`."""
    libc = _libc()
    version = libc.syscall(_SYS_LANDLOCK, None, 0, 1)
    if version < 1:
        return False
    handled = (1 << {1: 13, 2: 14}.get(version, 15)) - 1  # every right over files the kernel knows up to version 3
    read_file, read_folder = 1 << 2, 1 << 3
    attributes = struct.pack("<Q", handled)
    ruleset = libc.syscall(_SYS_LANDLOCK, attributes, len(attributes), 0)
    if ruleset < 0:
        return False
    try:
        for folder in folders:
            try:
                parent = os.open(folder, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue  # a folder that does not exist needs no permission
            try:
                rule = struct.pack("<Qi", read_file | read_folder, parent)
                if libc.syscall(_SYS_LANDLOCK + 1, ruleset, 1, rule, 0) != 0:
                    return False
            finally:
                os.close(parent)
        return bool(libc.syscall(_SYS_LANDLOCK + 2, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def deny_system_calls(allowed: frozenset[str] = COMPUTE) -> bool:
    """Leave this process and its descendants only these system calls; others fail with EPERM. Cannot be undone.

    Opening is only for reading, signals only to oneself, limits may only be read, and `clone3` fails as if unknown, so
    that the C library falls back to calls that can be examined. Needs `no_new_privileges`.
    """
    program = compile_filter(allowed, os.getpid())
    if program is None:
        return False
    buffer = ctypes.create_string_buffer(program, len(program))
    description = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    seccomp = {"x86_64": 317, "aarch64": 277}[platform.machine()]
    return bool(_libc().syscall(seccomp, 1, 0, description) == 0)


def compile_filter(allowed: frozenset[str], own_process: int) -> bytes | None:
    """The filter as classic BPF, or None for a machine whose numbers are not known."""
    column, audit = _MACHINES.get(platform.machine(), (0, 0))
    if not audit:
        return None
    before, after = _fixed_filter(allowed, column, audit)
    return before + _own_signals(allowed, column, own_process) + after


@functools.lru_cache(maxsize=4)
def _fixed_filter(allowed: frozenset[str], column: int, audit: int) -> tuple[bytes, bytes]:
    unknown = allowed - frozenset(_NUMBERS)
    if unknown:
        raise ValueError(f"no number is known for the system calls {', '.join(sorted(unknown))}")
    before = [
        _instruction(_LOAD, _OFFSET_MACHINE),
        _instruction(_EQUAL, audit, 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _OFFSET_NUMBER),
    ]
    for name, numbers in _NUMBERS.items():
        number = numbers[column]
        if name in allowed and name not in _EXAMINED and number is not None:
            before += [_instruction(_EQUAL, number, 0, 1), _instruction(_RETURN, _ALLOW)]
    examined = {
        "open": (1, _OPENING_FOR_CHANGE, (0,)),
        "openat": (2, _OPENING_FOR_CHANGE, (0,)),
        "fcntl": (1, 0xFFFFFFFF, _FCNTL_COMMANDS),
    }
    after = [
        rule
        for name, (argument, mask, values) in examined.items()
        if name in allowed
        for rule in _examine(_NUMBERS[name][column], argument, mask, values)
    ]
    if "prlimit64" in allowed:
        after += _only_reading_limits(_NUMBERS["prlimit64"][column])
    clone3 = _NUMBERS["clone3"][column]
    assert clone3 is not None
    after += [_instruction(_EQUAL, clone3, 0, 1), _instruction(_RETURN, _UNKNOWN), _instruction(_RETURN, _DENY)]
    return b"".join(before), b"".join(after)


def _own_signals(allowed: frozenset[str], column: int, own_process: int) -> bytes:
    rules = [
        _examine(_NUMBERS[name][column], 0, 0xFFFFFFFF, (own_process,))
        for name in ("kill", "tgkill")
        if name in allowed
    ]
    return b"".join(instruction for rule in rules for instruction in rule)


def _examine(number: int | None, argument: int, mask: int, values: tuple[int, ...]) -> list[bytes]:
    """Allow a call if the low half of one argument, masked, is one of these values; deny it otherwise."""
    if number is None:
        return []
    body = [_instruction(_LOAD, _OFFSET_ARGUMENTS + 8 * argument), _instruction(_AND, mask)]
    for value in values:
        body += [_instruction(_EQUAL, value, 0, 1), _instruction(_RETURN, _ALLOW)]
    body.append(_instruction(_RETURN, _DENY))
    return [_instruction(_EQUAL, number, 0, len(body)), *body]


def _only_reading_limits(number: int | None) -> list[bytes]:
    """`prlimit64` with a null pointer in place of new limits; both halves of the pointer are looked at."""
    if number is None:
        return []
    pointer = _OFFSET_ARGUMENTS + 8 * 2
    body = [
        _instruction(_LOAD, pointer),
        _instruction(_EQUAL, 0, 1, 0),
        _instruction(_RETURN, _DENY),
        _instruction(_LOAD, pointer + 4),
        _instruction(_EQUAL, 0, 1, 0),
        _instruction(_RETURN, _DENY),
        _instruction(_RETURN, _ALLOW),
    ]
    return [_instruction(_EQUAL, number, 0, len(body)), *body]


def _instruction(code: int, operand: int, jump_true: int = 0, jump_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, jump_true, jump_false, operand)


def _prctl(option: int, argument: int) -> bool:
    return bool(_libc().prctl(option, argument, 0, 0, 0) == 0)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
