"""System calls a process gives up for good, by a seccomp filter written here in classic BPF.

Owns the table of numbers, the compiler, and the two profiles; called by `sandbox_wasm.hardening` for workers and by the
process back end's zygote, which loads it by path: pure standard library, imports nothing of this package. A filter
cannot be taken off again and is inherited by children. What it refuses fails with EPERM, so that a mistake in the list
shows as an error and not as a dead worker.

      call ──► allowed as it is? ──► allowed with these arguments? ──► EPERM

      profile   for                            on top of memory, time and its own end
      COMPUTE   a child that runs a program    reading files that may be read; no threads
      SEALED    a worker around an engine      its socket, threads; no files, no new machine code

Numbers differ by machine; for one that is not in the table there is no filter, and the caller is told.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import struct
from typing import NamedTuple

# Classic BPF, <linux/bpf_common.h>, and where `struct seccomp_data` has its fields.
_LOAD, _AND, _JUMP_EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x06
_AT_NUMBER, _AT_MACHINE, _AT_ARGUMENTS = 0, 4, 16

_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_DENY = 0x00050000 | errno.EPERM
_UNKNOWN = 0x00050000 | errno.ENOSYS
_SET_MODE_FILTER, _ALL_THREADS = 1, 1

_PROT_EXEC = 0x4
_CLONE_THREAD = 0x10000
_PAGEMAP_SCAN = 0xC0606610

#: `fcntl` commands that touch nothing but the descriptor: F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC.
#: F_SETOWN and F_SETSIG would let a process have others signalled.
_FCNTL_COMMANDS = (0, 1, 2, 3, 4, 1030)
_OPENING_FOR_CHANGE = (
    os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | 0o20000000
)  # O_TMPFILE's own bit

#: How the kernel calls a machine, <linux/audit.h>, and which number of `_NUMBERS` is its own.
_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

#: Numbers of system calls on x86-64 and on AArch64; None where the machine has no such call.
# fmt: off
_NUMBERS: dict[str, tuple[int, int | None]] = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "mmap": (9, 222), "munmap": (11, 215), "brk": (12, 214),
    "mprotect": (10, 226), "mremap": (25, 216), "madvise": (28, 233), "futex": (202, 98), "lseek": (8, 62),
    "fstat": (5, 80), "newfstatat": (262, 79), "stat": (4, None), "lstat": (6, None), "statx": (332, 291),
    "getdents64": (217, 61), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "rt_sigpending": (127, 136), "rt_sigtimedwait": (128, 137), "sigaltstack": (131, 132), "pread64": (17, 67),
    "readv": (19, 65), "access": (21, None), "faccessat": (269, 48), "faccessat2": (439, 439),
    "readlink": (89, None), "readlinkat": (267, 78), "getcwd": (79, 17), "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123), "nanosleep": (35, 101), "clock_nanosleep": (230, 115),
    "restart_syscall": (219, 128), "pause": (34, None), "poll": (7, None), "ppoll": (271, 73), "select": (23, None),
    "pselect6": (270, 72), "alarm": (37, None), "getitimer": (36, 102), "setitimer": (38, 103), "getpid": (39, 172),
    "getppid": (110, 173), "gettid": (186, 178), "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176),
    "getegid": (108, 177), "getpgrp": (111, None), "getpgid": (121, 155), "getsid": (124, 156), "uname": (63, 160),
    "dup": (32, 23), "sysinfo": (99, 179), "times": (100, 153), "getrusage": (98, 165), "getrlimit": (97, 163),
    "gettimeofday": (96, 169), "time": (201, None), "clock_gettime": (228, 113), "clock_getres": (229, 114),
    "getrandom": (318, 278), "getcpu": (309, 168), "membarrier": (324, 283), "rseq": (334, 293),
    "set_robust_list": (273, 99), "exit": (60, 93), "exit_group": (231, 94), "open": (2, None), "openat": (257, 56),
    "fcntl": (72, 25), "kill": (62, 129), "tgkill": (234, 131), "prlimit64": (302, 261), "clone3": (435, 435),
    "clone": (56, 220), "writev": (20, 66), "sendto": (44, 206), "recvfrom": (45, 207), "sendmsg": (46, 211),
    "recvmsg": (47, 212), "ioctl": (16, 29), "shutdown": (48, 210), "seccomp": (317, 277),
    "memfd_create": (319, 279), "pwrite64": (18, 68), "preadv": (295, 69),
}

#: What both profiles need.
_COMMON = (
    "read", "write", "close", "munmap", "brk", "mremap", "madvise", "futex", "lseek", "fstat", "rt_sigaction",
    "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "readv", "sched_yield", "sched_getaffinity", "nanosleep",
    "clock_nanosleep", "restart_syscall", "poll", "ppoll", "select", "pselect6", "getpid", "getppid", "gettid",
    "getrusage", "gettimeofday", "clock_gettime", "clock_getres", "getrandom", "membarrier", "rseq",
    "set_robust_list", "exit", "exit_group",
)
#: Looking at files, at oneself, and at the clock in every way there is.
_COMPUTING = (
    "mmap", "mprotect", "newfstatat", "stat", "lstat", "statx", "getdents64", "rt_sigpending", "rt_sigtimedwait",
    "pread64", "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getcwd", "pause", "alarm",
    "getitimer", "setitimer", "getuid", "geteuid", "getgid", "getegid", "getpgrp", "getpgid", "getsid", "uname",
    "dup", "sysinfo", "times", "getrlimit", "time", "getcpu",
)
#: A worker's line to the pool, and memory without a name, which restored instances are refilled from.
_SERVING = (
    "writev", "recvfrom", "sendto", "recvmsg", "sendmsg", "shutdown", "memfd_create", "pwrite64", "preadv",
)
# fmt: on


class Condition(NamedTuple):
    """A call that is allowed if one of its arguments, masked, has one of these values.

    Flags and numbers have 32 bits, and only those are looked at; of a pointer, `both_halves`.
    """

    call: str
    argument: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF
    both_halves: bool = False


#: In place of a condition's values: this process's own number, known only when the filter is installed.
OWN_PROCESS: tuple[int, ...] = ()


class Profile(NamedTuple):
    """What is left of the system calls."""

    calls: frozenset[str]
    """Allowed whatever their arguments."""
    conditions: tuple[Condition, ...]


COMPUTE = Profile(
    frozenset(_COMMON + _COMPUTING),
    (
        Condition("open", 1, (0,), mask=_OPENING_FOR_CHANGE),
        Condition("openat", 2, (0,), mask=_OPENING_FOR_CHANGE),
        Condition("fcntl", 1, _FCNTL_COMMANDS),
        Condition("prlimit64", 2, (0,), both_halves=True),  # reading limits, not setting them
    ),
)

SEALED = Profile(
    frozenset(_COMMON + _SERVING),
    (
        Condition("mmap", 2, (0,), mask=_PROT_EXEC),
        Condition("mprotect", 2, (0,), mask=_PROT_EXEC),
        Condition("clone", 0, (_CLONE_THREAD,), mask=_CLONE_THREAD),
        Condition("ioctl", 1, (_PAGEMAP_SCAN,)),
        Condition("tgkill", 0, OWN_PROCESS),  # abort() signals itself
    ),
)


def deny_system_calls(profile: Profile) -> bool:
    """Leave all threads of this process, and its descendants, only the profile's calls; whether the kernel does so.

    Wants `no new privileges` set, unless root.
    """
    program = compile_filter(profile, os.getpid())
    if program is None:
        return False
    code = ctypes.create_string_buffer(program, len(program))
    description = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    number = _NUMBERS["seccomp"][_MACHINES[platform.machine()][1]]
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.syscall(number, _SET_MODE_FILTER, _ALL_THREADS, description) == 0)


def compile_filter(profile: Profile, own_process: int) -> bytes | None:
    """The filter for a process of that number, or None for a machine whose numbers are not known."""
    machine = platform.machine()
    if machine not in _MACHINES:
        return None
    column = _MACHINES[machine][1]
    own = [one._replace(values=(own_process,)) for one in profile.conditions if one.values == OWN_PROCESS]
    head, tail = _fixed(profile, machine)
    return head + b"".join(_when(condition, column) for condition in own) + tail


@functools.lru_cache(maxsize=4)
def _fixed(profile: Profile, machine: str) -> tuple[bytes, bytes]:
    """What of a filter does not depend on the process: made once in a zygote for all its children."""
    audit, column = _MACHINES[machine]
    head = [
        _step(_LOAD, _AT_MACHINE),
        _step(_JUMP_EQUAL, audit, 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, _AT_NUMBER),
        *(_answer(name, column, _ALLOW) for name in _NUMBERS if name in profile.calls),
    ]
    tail = [
        *(_when(condition, column) for condition in profile.conditions if condition.values != OWN_PROCESS),
        _answer("clone3", column, _UNKNOWN),  # its flags cannot be seen from here; libc falls back on clone
        _step(_RETURN, _DENY),
    ]
    return b"".join(head), b"".join(tail)


def _answer(name: str, column: int, verdict: int) -> bytes:
    number = _NUMBERS[name][column]
    return b"" if number is None else _step(_JUMP_EQUAL, number, 0, 1) + _step(_RETURN, verdict)


def _when(condition: Condition, column: int) -> bytes:
    """Allow a call that meets the condition, deny it otherwise."""
    number = _NUMBERS[condition.call][column]
    if number is None:
        return b""
    low = _AT_ARGUMENTS + 8 * condition.argument
    steps = []
    if condition.both_halves:  # The values are all small: the high half must be nothing.
        steps += [_step(_LOAD, low + 4), _step(_JUMP_EQUAL, 0, 1, 0), _step(_RETURN, _DENY)]
    steps += [_step(_LOAD, low), _step(_AND, condition.mask)]
    for value in condition.values:
        steps += [_step(_JUMP_EQUAL, value, 0, 1), _step(_RETURN, _ALLOW)]
    steps.append(_step(_RETURN, _DENY))
    return _step(_JUMP_EQUAL, number, 0, len(steps)) + b"".join(steps)


def _step(code: int, value: int, if_equal: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_equal, otherwise, value)
