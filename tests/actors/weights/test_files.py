"""Weights as a file: whole or not there, tied tensors, names that say the version."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from actors.weights.fingerprint import fingerprint
from actors.weights.transports.files import (
    file_content,
    file_name,
    receive_file,
    remove_unfinished,
    remove_versions,
    version_of,
    versions_folder,
    write_file,
)
from azr.game.types import Version


def test_what_is_written_is_what_is_received(tmp_path: Path) -> None:
    weights = {"a": torch.randn(3, 4), "b": torch.randn(7).to(torch.bfloat16), "c": torch.arange(5)}
    size = write_file(tmp_path / "w", weights)
    assert size == (tmp_path / "w").stat().st_size
    assert fingerprint(receive_file({"path": str(tmp_path / "w")})) == fingerprint(weights.items())


def test_what_goes_to_another_machine_is_what_a_file_would_hold(tmp_path: Path) -> None:
    weights = {"embed": (table := torch.randn(3, 3)), "head": table, "transposed": table.T}
    write_file(tmp_path / "w", weights)
    assert file_content(weights) == (tmp_path / "w").read_bytes()


def test_tied_tensors_are_written_under_both_names(tmp_path: Path) -> None:
    table = torch.randn(4, 4)
    write_file(tmp_path / "w", {"embed": table, "head": table})
    received = dict(receive_file({"path": str(tmp_path / "w")}))
    assert torch.equal(received["embed"], received["head"])


def test_a_tensor_that_is_no_contiguous_piece_of_memory_is_written_as_it_looks(tmp_path: Path) -> None:
    table = torch.arange(6.0).reshape(2, 3)
    write_file(tmp_path / "w", {"transposed": table.T})
    [(_, received)] = receive_file({"path": str(tmp_path / "w")})
    assert received.tolist() == [[0, 3], [1, 4], [2, 5]]


def test_writing_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    write_file(tmp_path / "w", {"a": torch.ones(2)})
    with pytest.raises((TypeError, AttributeError)):
        write_file(tmp_path / "w", {"a": torch.ones(2), "b": "no tensor"})  # type: ignore[dict-item]
    assert [path.name for path in tmp_path.iterdir()] == ["w"]
    assert receive_file({"path": str(tmp_path / "w")})[0][1].tolist() == [1, 1]


@pytest.mark.parametrize("version", [Version(0, 0), Version(3, 1200)])
def test_a_files_name_says_its_version(version: Version) -> None:
    assert version_of(Path("/somewhere") / file_name(version)) == version


@pytest.mark.parametrize("name", ["wanted.json", ".0.1.safetensors.77", "a.1.safetensors", "1.safetensors", "0.1.json"])
def test_other_files_are_no_versions(name: str) -> None:
    assert version_of(Path(name)) is None


def test_a_folder_that_the_user_names_is_never_used_itself(tmp_path: Path) -> None:
    assert versions_folder(str(tmp_path), "one-7") == tmp_path / "azr-one-7"
    assert versions_folder(str(tmp_path), "two-8") != versions_folder(str(tmp_path), "one-7")
    assert versions_folder("", "one-7") == Path("/dev/shm/azr-one-7")
    assert versions_folder("shared", "one-7").is_absolute(), "engines elsewhere stand in another folder"


def test_what_the_registry_left_is_removed_with_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "azr-one"
    write_file(folder / "0.3.safetensors", {"a": torch.ones(2)})
    for name in ("0.3.safetensors.json", "wanted.json", ".0.4.safetensors.json.x1.part"):
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
    remove_unfinished(tmp_path)
    remove_versions(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(theirs)
    assert (tmp_path / "checkpoints" / "0.1.safetensors").exists()


def test_the_next_publisher_removes_what_one_before_left_unfinished_and_nothing_else(tmp_path: Path) -> None:
    write_file(tmp_path / "0.3.safetensors", {"a": torch.ones(2)})
    (tmp_path / ".wanted.json.x1.part").touch()  # the registry is writing it
    _unfinished(tmp_path)
    remove_unfinished(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".wanted.json.x1.part", "0.3.safetensors"]


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
