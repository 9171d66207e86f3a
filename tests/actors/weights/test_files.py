"""Weights as a file: whole or not there, tied tensors, names that say the version."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from actors.weights.fingerprint import fingerprint
from actors.weights.transports.files import file_content, file_name, receive_file, version_of, write_file
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


def test_a_folder_that_was_removed_is_not_made_again(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_file(tmp_path / "gone" / "0.1.safetensors", {"a": torch.ones(2)})
    assert list(tmp_path.iterdir()) == []
