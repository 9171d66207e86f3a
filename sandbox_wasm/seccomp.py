"""System calls a process gives up for good, by a seccomp filter written here in classic BPF.

Owns the filters and their installation on all threads of the process; called by `sandbox_wasm.hardening`. A filter
cannot be taken off again and is inherited by children. What it refuses fails with EPERM, so that a mistake in the
list shows as an error and not as a dead worker.

      call ──► allowed as it is? ──► allowed with these arguments? ──► EPERM

Numbers differ by architecture; on one that is not in the table the filter is reported as missing.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterable
from typing import NamedTuple

# Classic BPF, <linux/bpf_common.h>, and where `struct seccomp_data` has its fields.
_LOAD, _AND, _JUMP_EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x06
_AT_NUMBER, _AT_ARCHITECTURE, _AT_ARGUMENTS = 0, 4, 16

_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_SET_MODE_FILTER, _ALL_THREADS = 1, 1

_PROT_EXEC = 0x4
_CLONE_THREAD = 0x10000
_PAGEMAP_SCAN = 0xC0606610


class _Architecture(NamedTuple):
    audit: int
    """How seccomp calls it, <linux/audit.h>."""
    column: int
    """Which number of `_NUMBERS` is its own."""


_ARCHITECTURES = {"x86_64": _Architecture(0xC000003E, 0), "aarch64": _Architecture(0xC00000B7, 1)}

#: Numbers of system calls on x86-64 and on aarch64, which lacks some.
# fmt: off
_NUMBERS: dict[str, tuple[int, int | None]] = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "recvfrom": (45, 207),
    "sendto": (44, 206), "recvmsg": (47, 212), "sendmsg": (46, 211), "shutdown": (48, 210), "close": (3, 57),
    "poll": (7, None), "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72), "fstat": (5, 80),
    "lseek": (8, 62), "mmap": (9, 222), "munmap": (11, 215), "mprotect": (10, 226), "mremap": (25, 216),
    "madvise": (28, 233), "brk": (12, 214), "membarrier": (324, 283), "futex": (202, 98), "rseq": (334, 293),
    "set_robust_list": (273, 99), "sched_yield": (24, 124), "sched_getaffinity": (204, 123),
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115), "nanosleep": (35, 101),
    "gettimeofday": (96, 169), "getrandom": (318, 278), "getrusage": (98, 165), "getpid": (39, 172),
    "gettid": (186, 178), "getppid": (110, 173), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139), "sigaltstack": (131, 132), "restart_syscall": (219, 128), "exit": (60, 93),
    "exit_group": (231, 94), "tgkill": (234, 131), "clone": (56, 220), "clone3": (435, 435), "ioctl": (16, 29),
    "seccomp": (317, 277), "memfd_create": (319, 279), "pwrite64": (18, 68), "preadv": (295, 69),
}
# fmt: on

#: What a worker of the sealed profile still needs: its socket, memory, threads, time and its own end.
_SEALED_CALLS = (
    *("read", "write", "readv", "writev", "recvfrom", "sendto", "recvmsg", "sendmsg", "shutdown", "close"),
    *("poll", "ppoll", "select", "pselect6", "fstat", "lseek"),
    *("memfd_create", "pwrite64", "preadv"),  # memory without a name, which restored instances are refilled from
    *("munmap", "mremap", "madvise", "brk", "membarrier", "futex", "rseq", "set_robust_list"),
    *("sched_yield", "sched_getaffinity", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep"),
    *("gettimeofday", "getrandom", "getrusage", "getpid", "gettid", "getppid"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall", "exit", "exit_group"),
)


class SeccompUnavailableError(OSError):
    """The kernel or the architecture has no filter for us."""


class _Step(NamedTuple):
    code: int
    value: int
    if_equal: int = 0
    otherwise: int = 0

    def encoded(self) -> bytes:
        return struct.pack("=HBBI", self.code, self.if_equal, self.otherwise, self.value)


def seal() -> None:
    """Give up everything but what a running back end needs: no files, no processes, no sockets, no new machine code."""
    own = os.getpid() & 0xFFFFFFFF
    program = [*_allow(_SEALED_CALLS)]
    program += _when("mmap", 2, _PROT_EXEC, 0)
    program += _when("mprotect", 2, _PROT_EXEC, 0)
    program += _when("clone", 0, _CLONE_THREAD, _CLONE_THREAD)
    program += _when("ioctl", 1, 0xFFFFFFFF, _PAGEMAP_SCAN)
    program += _when("tgkill", 0, 0xFFFFFFFF, own)  # abort() signals itself
    program += _answer("clone3", _ERRNO | errno.ENOSYS)  # its flags cannot be seen from here; libc falls back on clone
    _install([*program, _Step(_RETURN, _ERRNO | errno.EPERM)])


def _allow(names: Iterable[str]) -> list[_Step]:
    return [step for name in names for step in _answer(name, _ALLOW)]


def _answer(name: str, verdict: int) -> list[_Step]:
    number = _number(name)
    return [] if number is None else [_Step(_JUMP_EQUAL, number, 0, 1), _Step(_RETURN, verdict)]


def _when(name: str, argument: int, mask: int, value: int) -> list[_Step]:
    """Allow a call whose argument, masked, has that value. Flags and numbers are 32 bits: only those are seen."""
    number = _number(name)
    if number is None:
        return []
    return [
        _Step(_JUMP_EQUAL, number, 0, 5),
        _Step(_LOAD, _AT_ARGUMENTS + 8 * argument),
        _Step(_AND, mask),
        _Step(_JUMP_EQUAL, value, 0, 1),
        _Step(_RETURN, _ALLOW),
        _Step(_RETURN, _ERRNO | errno.EPERM),
    ]


def _number(name: str) -> int | None:
    return _NUMBERS[name][_architecture().column]


def _architecture() -> _Architecture:
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise SeccompUnavailableError(f"no filter is written for the architecture {machine}")
    return _ARCHITECTURES[machine]


def _install(verdicts: list[_Step]) -> None:
    """Put the filter on every thread of this process. Wants `no new privileges` set, unless root."""
    architecture = _architecture()
    steps = [
        _Step(_LOAD, _AT_ARCHITECTURE),
        _Step(_JUMP_EQUAL, architecture.audit, 1, 0),
        _Step(_RETURN, _KILL),
        _Step(_LOAD, _AT_NUMBER),
        *verdicts,
    ]
    code = ctypes.create_string_buffer(b"".join(step.encoded() for step in steps))
    header = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(_NUMBERS["seccomp"][architecture.column], _SET_MODE_FILTER, _ALL_THREADS, header) != 0:
        failure = ctypes.get_errno()
        raise SeccompUnavailableError(failure, f"the kernel takes no seccomp filter: {os.strerror(failure)}")
