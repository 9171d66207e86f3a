"""Private pages are found, put back, and dropped, on a mapping made here."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox_wasm.wasm import pages
from sandbox_wasm.wasm.pages import PAGE

pytestmark = pytest.mark.skipif(not pages.supported(), reason="PAGEMAP_SCAN needs Linux 6.7")


class Mapping:
    """A private mapping of a file of eight different pages."""

    def __init__(self, file: Path) -> None:
        file.write_bytes(b"".join(bytes([number + 1]) * PAGE for number in range(8)))
        self.size = 8 * PAGE
        with file.open("r+b") as handle:
            self.view = mmap.mmap(handle.fileno(), self.size, mmap.MAP_PRIVATE)
        self._first = ctypes.c_char.from_buffer(self.view)
        self.base = ctypes.addressof(self._first)

    def write(self, page: int) -> None:
        self.view[page * PAGE + 5] = 99

    def byte(self, page: int) -> int:
        return self.view[page * PAGE + 5]

    def close(self) -> None:
        del self._first
        self.view.close()


@pytest.fixture
def mapping(tmp_path: Path) -> Iterator[Mapping]:
    made = Mapping(tmp_path / "image")
    yield made
    made.close()


@pytest.fixture
def scanner() -> Iterator[pages.Scanner]:
    made = pages.Scanner()
    yield made
    made.close()


def test_only_written_pages_are_private(mapping: Mapping, scanner: pages.Scanner) -> None:
    assert [mapping.byte(page) for page in range(8)] == list(range(1, 9))
    assert scanner.private_runs(mapping.base, mapping.size) == []
    for page in (1, 3, 4):
        mapping.write(page)
    assert scanner.private_runs(mapping.base, mapping.size) == [(1, 2), (3, 5)]


def test_a_page_becomes_private_only_through_a_fault(mapping: Mapping) -> None:
    mapping.write(2)
    before = pages.faults()
    mapping.write(2)
    assert pages.faults() == before
    mapping.write(6)
    assert pages.faults() > before


def test_forgotten_pages_show_the_file_again(mapping: Mapping, scanner: pages.Scanner) -> None:
    mapping.write(1)
    mapping.write(2)
    pages.forget(mapping.base, [(1, 3)])
    assert (mapping.byte(1), mapping.byte(2)) == (2, 3)
    assert scanner.private_runs(mapping.base, mapping.size) == []


def test_a_refill_writes_the_reference_back(mapping: Mapping, tmp_path: Path) -> None:
    reference = Mapping(tmp_path / "reference")
    refill = pages.Refill([(0, 1), (3, 5)], mapping.base, reference.base)
    for page in (0, 3, 4, 6):
        mapping.write(page)
    assert refill.apply()
    assert [mapping.byte(page) for page in (0, 3, 4)] == [1, 4, 5]
    assert mapping.byte(6) == 99  # not asked for
    refill.close()
    reference.close()


def test_more_runs_than_one_call_takes_are_refilled_in_several(tmp_path: Path) -> None:
    count = 2500
    used, reference = (mmap.mmap(-1, count * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) for _ in range(2))
    first = [ctypes.c_char.from_buffer(view) for view in (used, reference)]
    addresses = [ctypes.addressof(view) for view in first]
    for page in range(count):
        used[page * PAGE] = 7
    refill = pages.Refill([(page, page + 1) for page in range(0, count, 2)], *addresses)
    assert refill.apply()
    assert all(used[page * PAGE] == (0 if page % 2 == 0 else 7) for page in range(count))
    refill.close()


@pytest.mark.parametrize(
    ("numbers", "runs"),
    [([], []), ([3], [(3, 4)]), ([5, 1, 2, 0], [(0, 3), (5, 6)]), ([2, 1], [(1, 3)])],
)
def test_runs_of(numbers: list[int], runs: list[pages.Run]) -> None:
    assert pages.runs_of(numbers) == runs


def test_a_scanner_is_refused_in_a_forked_child() -> None:
    scanner = pages.Scanner()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            scanner.private_runs(0, PAGE)
            os.write(writing, b"answered")
        except RuntimeError:
            os.write(writing, b"refused")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 100) == b"refused"
    os.close(reading)
    os.close(writing)
    scanner.close()
