"""What killed processes left is removed; what belongs to the living is not."""

from __future__ import annotations

import os
import subprocess
import sys
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import pytest

from actors.engine import leftovers
from actors.engine.leftovers import socket_folder, sweep, sweep_sockets


@pytest.fixture
def dead() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(30)
    return process.pid


def test_semaphores_and_sockets_of_the_dead_are_removed(
    dead: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "_TEMPORARY", tmp_path)
    semaphore = Path(f"/dev/shm/sem.loky-{dead}-test")
    semaphore.write_bytes(b"")
    (tmp_path / f"azr-engine-{dead}").mkdir()
    (tmp_path / f"azr-engine-{dead}" / "socket").write_bytes(b"")
    assert sorted(sweep([dead])) == sorted([str(semaphore), str(tmp_path / f"azr-engine-{dead}")])
    assert not semaphore.exists()
    assert list(tmp_path.iterdir()) == []


def test_those_of_the_living_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "_TEMPORARY", tmp_path)
    semaphore = Path(f"/dev/shm/sem.loky-{os.getpid()}-test")
    semaphore.write_bytes(b"")
    folder = socket_folder()
    try:
        assert sweep([os.getpid()]) == []
        assert semaphore.exists()
        assert folder.exists()
    finally:
        semaphore.unlink()


def test_a_ring_that_nobody_maps_is_removed_and_one_that_is_mapped_stays() -> None:
    ring = SharedMemory(create=True, size=4096)
    path = Path("/dev/shm") / ring.name.lstrip("/")
    abandoned = Path("/dev/shm/psm_azr_test")
    abandoned.write_bytes(b"")
    for each in (path, abandoned):
        os.utime(each, (0, 0))
    try:
        removed = sweep([])
        assert str(abandoned) in removed
        assert not abandoned.exists()
        assert path.exists()
    finally:
        ring.close()
        ring.unlink()


def test_a_ring_that_was_just_made_stays() -> None:
    fresh = Path("/dev/shm/psm_azr_fresh")
    fresh.write_bytes(b"")
    try:
        assert str(fresh) not in sweep([])
    finally:
        fresh.unlink()


def test_sockets_of_an_engine_that_ended_are_removed_and_the_folder_stays_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "_TEMPORARY", tmp_path)
    (socket_folder() / "socket").write_bytes(b"")
    sweep_sockets()
    assert socket_folder().exists()
    assert list(socket_folder().iterdir()) == []
