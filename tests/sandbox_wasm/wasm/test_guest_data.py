"""The guest as it ships: within its size, as its digest says, importing nothing, changing nothing but memory."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

import pytest

from sandbox_wasm.wasm import binary, guest

MAX_BYTES = 8_000_000


@cache
def module(snapshot: int) -> bytes:
    return guest.module(snapshot)


def test_the_archive_is_small_and_what_its_manifest_says() -> None:
    archive = (resources.files("sandbox_wasm.wasm") / "data" / guest.ARCHIVE).read_bytes()
    assert len(archive) <= MAX_BYTES
    assert hashlib.sha256(archive).hexdigest() == guest.manifest().archive_sha256 == guest.digest()


def test_there_are_two_snapshots_with_one_code() -> None:
    parts = [dict(binary.sections(module(snapshot))) for snapshot in (0, 1)]
    assert parts[0][binary.CODE] == parts[1][binary.CODE]
    assert parts[0][binary.DATA] != parts[1][binary.DATA]


@pytest.mark.parametrize("snapshot", [0, 1])
def test_a_module_imports_nothing_and_exports_what_the_host_needs(snapshot: int) -> None:
    assert all(kind != binary.IMPORT for kind, _ in binary.sections(module(snapshot)))
    assert set(binary.exports(module(snapshot))) == {
        "memory", "table", "begin", "reserve", "run",
        "stack", "wall", "monotonic", "random", "cause", "exit_code",
    }  # fmt: skip


def test_every_mutable_global_is_exported_so_that_restoring_can_be_checked() -> None:
    reader = binary.Reader(dict(binary.sections(module(0)))[binary.GLOBAL])
    mutable = 0
    for _ in range(reader.unsigned()):
        reader.byte()
        mutable += reader.byte()
        assert reader.byte() in (0x41, 0x42)  # i32.const, i64.const
        reader.signed()
        assert reader.byte() == 0x0B
    exported = [name for name, (kind, _) in binary.exports(module(0)).items() if kind == 3]
    assert mutable == len(exported) == 6


def test_an_unknown_snapshot_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="snapshots 0 to 1"):
        guest.module(2)


def test_a_damaged_archive_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = guest.Manifest("0" * 64, 1, (1,), (1,), "3.14.0", {})
    monkeypatch.setattr(guest, "manifest", lambda: other)
    with pytest.raises(guest.GuestDamagedError, match="0000"):
        guest.module(0)
