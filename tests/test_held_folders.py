"""Folders that are somebody's while he lives: a lock says so, and nothing else does."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO

import pytest

from azr import held_folders
from azr.errors import AzrError
from azr.held_folders import (
    LOCK,
    QUIET_SECONDS,
    hold,
    remove_abandoned,
    remove_abandoned_temporary,
    scratch,
    temporary_for_sockets,
)

#: Holds a folder until it is killed.
_OWNER = """
import sys, time
from pathlib import Path
from azr.held_folders import hold
held = hold(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


def later() -> float:
    return time.time() + QUIET_SECONDS + 1.0


def abandoned(folder: Path) -> Path:
    hold(folder).close()
    return folder


def test_a_folder_is_its_owners_until_he_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "azr-kind-1"
    owner = subprocess.Popen([sys.executable, "-c", _OWNER, str(folder)], stdout=subprocess.PIPE)
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"held\n"
        assert remove_abandoned(tmp_path, "azr-kind-*", clock=later) == []
    finally:
        owner.kill()
        owner.communicate()
    assert remove_abandoned(tmp_path, "azr-kind-*", clock=later) == [folder]
    assert not folder.exists()


def test_several_may_hold_one_and_it_is_nobodys_when_none_does(tmp_path: Path) -> None:
    folder = tmp_path / "azr-kind-1"
    with hold(folder):
        hold(folder).close()
        assert remove_abandoned(tmp_path, "*", clock=later) == []
    assert remove_abandoned(tmp_path, "*", clock=later) == [folder]


def test_one_of_another_name_or_that_nobody_ever_held_stays(tmp_path: Path) -> None:
    abandoned(tmp_path / "azr-other-1")
    (tmp_path / "azr-kind-of-mine").mkdir()
    assert remove_abandoned(tmp_path, "azr-kind-*", clock=later) == []
    assert len(list(tmp_path.iterdir())) == 2


def test_what_changed_lately_stays_for_its_owner_may_be_about_to_come_back(tmp_path: Path) -> None:
    folder = abandoned(tmp_path / "azr-kind-1")
    log = folder / "session" / "raylet.out"
    log.parent.mkdir()
    log.touch()
    for path in (log.parent, folder / LOCK, folder):
        os.utime(path, (1000.0, 1000.0))
    os.utime(log, (5000.0, 5000.0))
    assert remove_abandoned(tmp_path, "*", clock=lambda: 5000.0 + QUIET_SECONDS) == []
    assert remove_abandoned(tmp_path, "*", clock=lambda: 5001.0 + QUIET_SECONDS) == [folder]


@pytest.mark.parametrize("kernel", ["another's boot id", ""])
def test_one_that_was_held_under_another_kernel_stays_for_its_locks_may_not_be_seen_here(
    tmp_path: Path, kernel: str
) -> None:
    (abandoned(tmp_path / "azr-kind-1") / LOCK).write_text(kernel)
    assert remove_abandoned(tmp_path, "*", clock=later) == []


def test_who_comes_while_a_folder_is_removed_waits_and_makes_it_anew(tmp_path: Path) -> None:
    folder = abandoned(tmp_path / "azr-kind-1")
    came: list[threading.Thread] = []
    held: list[IO[str]] = []

    def slowly(path: Path) -> None:
        came.append(threading.Thread(target=lambda: held.append(hold(path))))
        came[0].start()
        time.sleep(0.3)
        assert not held, "it is locked while it is removed"
        shutil.rmtree(path)

    assert remove_abandoned(tmp_path, "*", remove=slowly, clock=later) == [folder]
    came[0].join(30)
    assert os.path.samestat(os.fstat(held[0].fileno()), (folder / LOCK).stat())
    assert remove_abandoned(tmp_path, "*", clock=later) == []
    held[0].close()


def test_a_lock_that_somebody_keeps_for_himself_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_folders, "WAIT_SECONDS", 0.2)
    with hold(tmp_path) as mine:
        fcntl.flock(mine, fcntl.LOCK_EX)
        with pytest.raises(AzrError, match=r"\.held has been locked for 0.2 s by another process"):
            hold(tmp_path)


def test_where_there_are_no_locks_a_folder_is_used_all_the_same_and_never_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "no locks here")

    monkeypatch.setattr(fcntl, "flock", unknown)
    abandoned(tmp_path / "azr-kind-1")
    assert remove_abandoned(tmp_path, "*", clock=later) == []


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (precious := tmp_path / "precious").write_text("precious")
    (tmp_path / "azr-kind-1").mkdir()
    (tmp_path / "azr-kind-1" / LOCK).symlink_to(precious)
    with pytest.raises(OSError, match="symbolic links"):
        hold(tmp_path / "azr-kind-1")
    assert precious.read_text() == "precious"


def test_one_of_another_user_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = abandoned(tmp_path / "azr-kind-1")
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    assert remove_abandoned(tmp_path, "*", clock=later) == []


def test_what_another_removes_meanwhile_is_passed_over(tmp_path: Path) -> None:
    one, two = abandoned(tmp_path / "azr-kind-1"), abandoned(tmp_path / "azr-kind-2")

    def both(_folder: Path) -> None:
        for folder in (one, two):
            (folder / LOCK).unlink(missing_ok=True)
            folder.rmdir()

    assert len(remove_abandoned(tmp_path, "*", remove=both, clock=later)) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("length", "short"), [(18, False), (19, True), (90, True)])
def test_sockets_go_where_their_paths_have_room_and_what_is_abandoned_there_is_found(
    length: int, short: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/" + "t" * (length - 1))
    monkeypatch.setattr(held_folders, "SHORT", tmp_path)
    assert temporary_for_sockets(18) == (tmp_path if short else Path(tempfile.gettempdir()))
    old = abandoned(tmp_path / "azr-ray-1")
    for path in (old / LOCK, old):
        os.utime(path, (1000.0, 1000.0))
    remove_abandoned_temporary()
    assert not old.exists()


def test_a_scratch_folder_goes_with_its_block_and_takes_along_those_of_the_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    old = abandoned(tmp_path / "azr-model-1")
    for path in (old / LOCK, old):
        os.utime(path, (1000.0, 1000.0))
    with pytest.raises(RuntimeError, match="in the block"), scratch("model") as folder:
        assert not old.exists()
        assert remove_abandoned(tmp_path, "azr-model-*", clock=later) == []
        (folder / "weights").touch()
        raise RuntimeError("in the block")
    assert list(tmp_path.iterdir()) == []
