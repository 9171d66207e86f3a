"""Which pages of a mapping are private copies, asked of the kernel; and how to put many pages back in one call.

Owns the system calls that restoring stands on: PAGEMAP_SCAN (Linux 6.7; `supported()` says whether it is there),
madvise, preadv and getrusage. `restore` calls it.

    mapping (copy-on-write image)   │ image │ copy │ image │ copy copy │ image │
    private_runs()                            [1,2)          [3,5)
    Refill(runs, reference).apply() ──► preadv: one contiguous file ──► the scattered runs
"""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
from collections.abc import Iterable, Sequence

PAGE = mmap.PAGESIZE
#: A run of pages: first page and the one after the last, counted from the start of the mapping.
Run = tuple[int, int]

#: PAGEMAP_SCAN and the properties of pages it knows (linux/fs.h).
_PAGEMAP_SCAN = 0xC0606610
_FILE, _PRESENT, _SWAPPED, _ZERO_PAGE = 1 << 2, 1 << 3, 1 << 4, 1 << 5
#: Runs taken from the kernel in one call; more dirty runs than this and the instance is not worth keeping.
MAX_RUNS = 8192
#: Most buffers one preadv takes (IOV_MAX).
_MAX_BUFFERS = 1024
_MADV_DONTNEED = 4

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ioctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p]
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_libc.preadv.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_long]
_libc.preadv.restype = ctypes.c_ssize_t


class _Scan(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            "size", "flags", "start", "end", "walk_end", "vec", "vec_len", "max_pages",
            "category_inverted", "category_mask", "category_anyof_mask", "return_mask",
        )
    )  # fmt: skip


class _Region(ctypes.Structure):
    _fields_ = (("start", ctypes.c_uint64), ("end", ctypes.c_uint64), ("categories", ctypes.c_uint64))


class _Buffer(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def faults() -> int:
    """Page faults this thread has taken. As long as it stands still, no page has become a private copy."""
    usage = resource.getrusage(resource.RUSAGE_THREAD)
    return usage.ru_minflt + usage.ru_majflt


def supported() -> bool:
    """Whether this kernel answers PAGEMAP_SCAN."""
    try:
        scanner = Scanner()
    except OSError:
        return False
    try:
        with mmap.mmap(-1, PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as probe:
            probe[0] = 1
            view = ctypes.c_char.from_buffer(probe)
            runs = scanner.private_runs(ctypes.addressof(view), PAGE)
            del view  # the mapping cannot be closed while it is looked at
            return runs == [(0, 1)]
    except OSError:
        return False
    finally:
        scanner.close()


class Scanner:
    """Asks the kernel about this process's pages. Belongs to the process that made it: not to be kept over a fork."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._file = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
        self._regions = (_Region * MAX_RUNS)()

    def private_runs(self, base: int, size: int) -> list[Run] | None:
        """Runs of pages that are no longer the mapped file's, or None when there are too many to tell."""
        if os.getpid() != self._process:
            raise RuntimeError("this pagemap belongs to the process it was opened in; make a scanner after the fork")
        request = _Scan(
            size=ctypes.sizeof(_Scan), start=base, end=base + size,
            vec=ctypes.addressof(self._regions), vec_len=MAX_RUNS,
            category_inverted=_FILE | _ZERO_PAGE, category_mask=_FILE | _ZERO_PAGE,
            category_anyof_mask=_PRESENT | _SWAPPED, return_mask=_PRESENT,
        )  # fmt: skip
        found = _libc.ioctl(self._file, _PAGEMAP_SCAN, ctypes.byref(request))
        if found < 0:
            raise OSError(ctypes.get_errno(), "PAGEMAP_SCAN failed")
        if found == MAX_RUNS:
            return None
        return [((r.start - base) // PAGE, (r.end - base) // PAGE) for r in self._regions[:found]]

    def close(self) -> None:
        """Give the file back."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def runs_of(pages: Iterable[int]) -> list[Run]:
    """Pages as the fewest runs."""
    runs: list[Run] = []
    for page in sorted(pages):
        if runs and runs[-1][1] == page:
            runs[-1] = (runs[-1][0], page + 1)
        else:
            runs.append((page, page + 1))
    return runs


def forget(base: int, runs: Iterable[Run]) -> None:
    """Drop private copies, so that the pages show the mapped file again."""
    for first, end in runs:
        if _libc.madvise(base + first * PAGE, (end - first) * PAGE, _MADV_DONTNEED):
            raise OSError(ctypes.get_errno(), "madvise failed")


class Refill:
    """Writes chosen pages of a mapping back from a reference, all in one or a few system calls."""

    def __init__(self, runs: Sequence[Run], base: int, reference: int) -> None:
        self._runs = list(runs)
        self._file = os.memfd_create("azr-sandbox-pages", os.MFD_CLOEXEC)
        self._buffers = (_Buffer * max(1, len(self._runs)))()
        self._calls: list[tuple[int, int, int, int]] = []  # address of buffers, how many, offset, bytes
        offset = 0
        for index, (first, end) in enumerate(self._runs):
            length = (end - first) * PAGE
            self._buffers[index] = _Buffer(base + first * PAGE, length)
            os.pwrite(self._file, ctypes.string_at(reference + first * PAGE, length), offset)
            if index % _MAX_BUFFERS == 0:
                self._calls.append((ctypes.addressof(self._buffers) + index * ctypes.sizeof(_Buffer), 0, offset, 0))
            address, count, start, total = self._calls[-1]
            self._calls[-1] = (address, count + 1, start, total + length)
            offset += length

    def apply(self) -> bool:
        """Write the pages back; False when the kernel did not write all of them."""
        return all(
            _libc.preadv(self._file, address, count, offset) == total for address, count, offset, total in self._calls
        )

    def close(self) -> None:
        """Give the file back."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
