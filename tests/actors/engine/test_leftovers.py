"""What killed processes left is removed; what belongs to the living, or to others, is not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import pytest

from actors.engine import leftovers
from actors.engine.leftovers import rings_of, socket_folder, sweep, sweep_transients, transient
from azr.held_folders import QUIET_SECONDS, remove_abandoned


@pytest.fixture
def dead() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(30)
    return process.pid


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Not this machine's /tmp and /dev/shm."""
    monkeypatch.setattr(leftovers, "_TEMPORARY", tmp_path)
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(leftovers, "_SHARED_MEMORY", memory)
    yield memory


def test_semaphores_and_sockets_of_the_dead_are_removed(dead: int, tmp_path: Path, elsewhere: Path) -> None:
    semaphore = elsewhere / f"sem.loky-{dead}-test"
    semaphore.write_bytes(b"")
    folder = tmp_path / f"azr-engine-{dead}"
    folder.mkdir(mode=0o700)
    (folder / "socket").write_bytes(b"")
    assert sorted(sweep([dead])) == sorted([str(semaphore), str(folder)])
    assert not semaphore.exists()
    assert not folder.exists()


def test_those_of_the_living_stay(elsewhere: Path) -> None:
    semaphore = elsewhere / f"sem.loky-{os.getpid()}-test"
    semaphore.write_bytes(b"")
    folder = socket_folder()
    assert sweep([os.getpid()]) == []
    assert semaphore.exists()
    assert folder.exists()


class TestRings:
    def test_those_that_a_process_has_mapped_are_found_by_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ring = SharedMemory(create=True, size=4096)
        try:
            assert ring.name.lstrip("/") in rings_of([os.getpid()])
        finally:
            ring.close()
            ring.unlink()

    def test_noted_ones_go_with_their_process_and_no_others(self, dead: int, elsewhere: Path) -> None:
        for name in ("psm_ours", "psm_of_others"):
            (elsewhere / name).write_bytes(b"")
        sweep([dead], ["psm_ours"])
        assert [path.name for path in elsewhere.iterdir()] == ["psm_of_others"]

    def test_they_stay_while_one_of_its_processes_lives(self, dead: int, elsewhere: Path) -> None:
        (elsewhere / "psm_ours").write_bytes(b"")
        sweep([dead, os.getpid()], ["psm_ours"])
        assert (elsewhere / "psm_ours").exists()

    def test_a_name_never_leads_out_of_shared_memory(self, dead: int, tmp_path: Path) -> None:
        (tmp_path / "psm_elsewhere").write_bytes(b"")
        sweep([dead], ["../psm_elsewhere"])
        assert (tmp_path / "psm_elsewhere").exists()


class TestSocketFolders:
    def test_it_is_this_processs_and_closed_to_others(self) -> None:
        folder = socket_folder()
        assert folder == socket_folder()
        assert folder.stat().st_mode & 0o777 == 0o700

    def test_it_is_held_also_where_a_process_of_the_same_id_left_one(self, tmp_path: Path) -> None:
        """In a container that was restarted: whoever looks must not take it for the dead one's."""
        (tmp_path / f"azr-engine-{os.getpid()}").mkdir(mode=0o700)
        folder = socket_folder()
        later = time.time() + QUIET_SECONDS + 1.0
        assert remove_abandoned(tmp_path, "azr-engine-*", clock=lambda: later) == []
        assert folder.exists()

    def test_one_that_others_could_enter_is_not_used_and_not_removed(self, dead: int, tmp_path: Path) -> None:
        trap = tmp_path / f"azr-engine-{os.getpid()}"
        trap.mkdir()
        trap.chmod(0o777)
        own = socket_folder()
        assert own != trap
        assert socket_folder() == own, "or notes are left in one and looked for in another"
        other = tmp_path / f"azr-engine-{dead}"
        other.mkdir()
        other.chmod(0o755)
        sweep([dead])
        assert other.exists()

    def test_a_link_is_not_followed(self, dead: int, tmp_path: Path) -> None:
        precious = tmp_path / "precious"
        precious.mkdir(mode=0o700)
        (precious / "file").write_bytes(b"")
        (tmp_path / f"azr-engine-{dead}").symlink_to(precious)
        sweep([dead])
        assert (precious / "file").exists()


class TestFilesOfAMoment:
    def test_those_of_the_dead_are_removed_and_those_of_the_living_stay(self, dead: int, elsewhere: Path) -> None:
        mine = transient("run-0.5")
        mine.write_bytes(b"")
        left = mine.with_name(mine.name.replace(str(os.getpid()), str(dead)))
        left.write_bytes(b"")
        (elsewhere / "another.file").write_bytes(b"")
        assert sweep_transients() == [str(left)]
        assert sorted(path.name for path in elsewhere.iterdir()) == sorted(["another.file", mine.name])
