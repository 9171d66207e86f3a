"""The folder of a run's versions: whose it is, what goes when, and that nothing else does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from actors.weights.folders import (
    no_room,
    remove_abandoned_versions,
    remove_others,
    remove_versions,
    require_room,
    versions_folder,
)
from actors.weights.transports.files import file_name, write_file
from azr.errors import AzrError
from azr.game.types import Version
from azr.held_folders import LOCK, QUIET_SECONDS, hold


def test_a_folder_that_the_user_names_is_never_used_itself(tmp_path: Path) -> None:
    assert versions_folder(str(tmp_path), "one-7") == tmp_path / "azr-one-7"
    assert versions_folder(str(tmp_path), "two-8") != versions_folder(str(tmp_path), "one-7")
    assert versions_folder("", "one-7") == Path("/dev/shm/azr-one-7")
    assert versions_folder("shared", "one-7").is_absolute(), "engines elsewhere stand in another folder"


def test_one_in_memory_that_is_full_may_be_given_more_of_it() -> None:
    mends = [no_room(Path(folder), 12, "full").mend for folder in ("/dev/shm/azr-run", "/mnt/disk/azr-run")]
    assert ["--shm-size" in mend for mend in mends] == [True, False]


@pytest.mark.parametrize(("lying", "travelling", "needed"), [(0, 0, 3), (0, 1, 4), (1, 0, 2), (2, 0, 1), (5, 0, 1)])
def test_room_is_asked_for_what_is_kept_the_one_that_is_written_and_the_one_that_travels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lying: int, travelling: int, needed: int
) -> None:
    """Less what lies there: that is not free any more."""
    for step in range(lying):
        (tmp_path / file_name(Version(0, step))).touch()
    usage = SimpleNamespace(free=8 * needed)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage)
    require_room(tmp_path, 8, 2, travelling)
    usage.free -= 1
    with pytest.raises(AzrError, match=rf"{3 + travelling} must fit \(weights\.keep_versions=2"):
        require_room(tmp_path, 8, 2, travelling)


def test_what_the_registry_left_is_removed_with_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "azr-one"
    hold(folder).close()
    write_file(folder / "0.3.safetensors", {"a": torch.ones(2)})
    for name in ("0.3.safetensors.json", "wanted.json", ".0.4.safetensors.json.x1.part", ".wanted.json.x2.part"):
        (folder / name).touch()
    _unfinished(folder)
    remove_versions(folder)
    assert not folder.exists()
    remove_versions(folder)


def test_files_of_others_are_never_removed(tmp_path: Path) -> None:
    (tmp_path / "0.3.safetensors").touch()
    theirs = ["model.safetensors", "notes.json", ".hidden", "checkpoints"]
    for name in theirs[:3]:
        (tmp_path / name).write_text("precious")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "0.1.safetensors").touch()
    remove_others(tmp_path, ())
    remove_versions(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(theirs)
    assert (tmp_path / "checkpoints" / "0.1.safetensors").exists()


def test_what_is_neither_kept_nor_finished_goes_and_the_counts_and_the_lock_stay(tmp_path: Path) -> None:
    for step in (2, 3):
        write_file(tmp_path / f"0.{step}.safetensors", {"a": torch.ones(2)})
    for name in ("wanted.json", LOCK, ".0.5.safetensors.x1.part"):
        (tmp_path / name).touch()
    _unfinished(tmp_path)
    remove_others(tmp_path, {"0.3.safetensors"})
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOCK, "0.3.safetensors", "wanted.json"]


def test_folders_whose_registry_is_dead_are_removed_and_no_others(tmp_path: Path) -> None:
    dead, living = tmp_path / "azr-azr-run-1", tmp_path / "azr-azr-run-2"
    foreign, never_held = tmp_path / "azr-mine", tmp_path / "azr-azr-mine"
    for folder in (dead, living, foreign, never_held):
        folder.mkdir()
        write_file(folder / "0.3.safetensors", {"a": torch.ones(2)})
    hold(dead).close()
    hold(foreign).close()
    with hold(living):
        for path in tmp_path.rglob("*"):
            long_ago = time.time() - QUIET_SECONDS - 1.0
            os.utime(path, (long_ago, long_ago))
        assert remove_abandoned_versions(tmp_path) == [dead]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["azr-azr-mine", "azr-azr-run-2", "azr-mine"]


def test_a_folder_in_which_something_else_lies_stays_somebodys_to_remove(tmp_path: Path) -> None:
    folder = tmp_path / "azr-azr-run-1"
    with hold(folder):
        (folder / "notes.txt").touch()
        remove_versions(folder)
        assert sorted(path.name for path in folder.iterdir()) == [LOCK, "notes.txt"]


#: Writes a version large enough to be killed in the middle, again and again.
_WRITER = """
import sys, pathlib, torch
from actors.weights.transports.files import write_file
weights = {"w": torch.zeros(32 << 20)}
while True:
    write_file(pathlib.Path(sys.argv[1], "0.4.safetensors"), weights)
"""


def test_a_publisher_killed_in_the_middle_of_writing_leaves_nothing_that_is_not_removed(tmp_path: Path) -> None:
    folder = tmp_path / "azr-one"
    folder.mkdir()
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(folder)])
    try:
        deadline = time.monotonic() + 60
        while not list(folder.glob(".0.4.safetensors.*/.tmp*")):  # the name that safetensors writes under
            assert time.monotonic() < deadline, "nothing was being written for a minute"
    finally:
        writer.kill()
        writer.wait()
    remove_versions(folder)
    assert not folder.exists()


def _unfinished(folder: Path) -> None:
    """What lies in the folder when a publisher is killed while it writes."""
    aside = folder / ".0.4.safetensors.77"
    aside.mkdir()
    (aside / ".tmpcg0Ft1").write_bytes(b"half of it")
