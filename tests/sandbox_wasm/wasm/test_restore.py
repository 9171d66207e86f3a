"""Restoring is bit-exact: memory, globals and tables, after honest programs and hostile ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox_wasm.protocol import RunJob
from sandbox_wasm.wasm import restore
from sandbox_wasm.wasm.backend import WasmBackend
from sandbox_wasm.wasm.instance import Instance

from .conftest import LIMITS
from .test_limits import STOPPED
from .test_pristine import CHANGES

PROGRAMS = Path(__file__).parents[3] / "benchmarks" / "programs" / "short.jsonl"


def living(backend: WasmBackend) -> restore.Restored:
    """The restored instance behind the back end."""
    backend.run(RunJob(program="def f(x): return x", inputs=("1",)))
    return backend._restored[0]


def assert_pristine(kept: restore.Restored) -> None:
    """Every bit of the instance is that of one that never ran."""
    instance = kept.take()
    assert instance.same_memory(kept._reference)
    assert instance.globals()["stack"] == kept._reference.globals()["stack"]
    assert instance.table() == kept._reference.table()


def test_memory_globals_and_tables_are_those_of_an_instance_that_never_ran(restored: WasmBackend) -> None:
    kept = living(restored)
    for number, line in enumerate(PROGRAMS.read_text().splitlines()[::4]):
        task = json.loads(line)
        restored.run(RunJob(program=task["program"], inputs=tuple(task["inputs"][:1]), limits=LIMITS))
        if number % 4 == 0:
            assert_pristine(kept)
    assert_pristine(kept)


@pytest.mark.parametrize("name", [*STOPPED, *CHANGES])
def test_hostile_programs_leave_no_bit_behind(restored: WasmBackend, name: str) -> None:
    program = STOPPED[name][0] if name in STOPPED else CHANGES[name][0]
    restored.run(RunJob(program=program, inputs=("1",), limits=LIMITS))
    assert_pristine(living(restored))


def test_an_instance_whose_memory_grew_is_dropped(restored: WasmBackend) -> None:
    kept = living(restored)
    before = kept.take()
    result = restored.run(RunJob(program="def f(x): return len(bytearray(60_000_000))", inputs=("1",)))
    assert result.outcomes[0].status == "ok"  # type: ignore[union-attr]
    assert kept.take() is not before
    assert_pristine(kept)


def test_an_instance_that_trapped_is_dropped_and_one_that_did_not_is_kept(restored: WasmBackend) -> None:
    kept = living(restored)
    before = kept.take()
    restored.run(RunJob(program="def f(x): return 1 / 0", inputs=("1",)))
    assert kept.take() is before
    restored.run(RunJob(program="import os\ndef f(x): os._exit(1)", inputs=("1",)))
    assert kept.take() is not before


def test_pages_dirty_often_are_put_back_and_pages_dirty_once_are_dropped(restored: WasmBackend) -> None:
    kept = living(restored)
    once = "def f(x):\n    a = bytearray(b'S' * 4_000_000)\n    return len(a)"
    known = len(kept._known)
    restored.run(RunJob(program=once, inputs=("1",)))
    assert len(kept._known) < known + 900  # the thousand pages of the buffer were not taken up at once
    for _ in range(4):
        restored.run(RunJob(program=once, inputs=("1",)))
    assert len(kept._known) <= restore.MAX_KNOWN
    assert_pristine(kept)


def test_the_canary_compares_every_so_many_runs(restored: WasmBackend) -> None:
    kept = living(restored)
    checked = kept.canaries
    for _ in range(26):
        restored.run(RunJob(program="def f(x): return x", inputs=("1",)))
    assert kept.canaries > checked


def test_the_canary_refuses_an_instance_that_differs_in_one_bit(restored: WasmBackend) -> None:
    kept = living(restored)
    instance = kept.take()
    flip(instance, instance.size // 2)
    with pytest.raises(restore.CanaryError, match="memory"):
        kept.check()
    assert kept.take() is not instance
    assert_pristine(kept)


def flip(instance: Instance, offset: int) -> None:
    """Change one bit of the guest's memory from outside."""
    import ctypes

    byte = ctypes.c_ubyte.from_address(instance.base + offset)
    byte.value ^= 1


def test_without_the_kernel_call_fresh_instances_are_used_and_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox_wasm.wasm.pages.supported", lambda: False)
    backend = WasmBackend(instances="restored")
    assert backend.instances == "fresh"
