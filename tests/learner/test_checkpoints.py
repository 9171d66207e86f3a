"""Checkpoints in their folder: which is the newest, which are torn, which go."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from learner import checkpoint
from tests.learner.plans import torn_checkpoint, whole_checkpoint


def test_a_folder_without_a_marker_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "step_00000004").mkdir()
    assert checkpoint.newest(tmp_path) is None
    with pytest.raises(FileNotFoundError, match="holds no complete checkpoint"):
        checkpoint.read_state(tmp_path / "step_00000004")


@pytest.mark.parametrize(
    "marker",
    [b'{"step": 2, "upd', b'{"step": 2, "updates": 2, "model": "\xff"}', b'{"more": ' + b"[" * 200_000],
    ids=["half of it", "no UTF-8", "nested without end"],
)
def test_torn_ones_are_passed_over_with_a_warning(
    marker: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole_checkpoint(tmp_path, 1)
    (tmp_path / "step_00000002").mkdir()
    (tmp_path / "step_00000002" / "learner.json").write_bytes(marker)
    (tmp_path / "step_00000003.partial").mkdir()
    found = checkpoint.newest(tmp_path)
    assert found is not None
    assert found.name == "step_00000001"
    assert caplog.text.count("passing over") == 2
    assert checkpoint.complete_steps(tmp_path) == [1]


@pytest.mark.parametrize("name", ["step_00000009.bak", "step_00000009-good", "step_by_step"])
def test_a_copy_under_another_name_is_none_and_that_is_told_once(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever put one aside did not mean it to be gone on from; `prune` does not know it either."""
    for step in (1, 9):
        whole_checkpoint(tmp_path, step)
    (tmp_path / "step_00000009").rename(tmp_path / name)
    assert [checkpoint.newest(tmp_path) for _ in range(2)] == [tmp_path / "step_00000001"] * 2
    assert checkpoint.complete_steps(tmp_path) == [1]
    assert caplog.text.count(f"passing over {tmp_path / name}: no checkpoint is called so") == 1


def test_old_ones_go_by_policy(tmp_path: Path) -> None:
    for step in range(1, 9):
        whole_checkpoint(tmp_path, step)
    deleted = checkpoint.prune(tmp_path, keep_last=2, keep_every=4)
    assert [folder.name[-1] for folder in deleted] == ["1", "2", "3", "5", "6"]
    assert sorted(folder.name[-1] for folder in tmp_path.iterdir()) == ["4", "7", "8"]


def test_the_newest_always_stays(tmp_path: Path) -> None:
    whole_checkpoint(tmp_path, 1)
    assert checkpoint.prune(tmp_path, keep_last=0, keep_every=0) == []


def test_torn_ones_take_no_place_among_those_that_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 5):
        whole_checkpoint(tmp_path, step)
    torn_checkpoint(tmp_path, "step_00000003")
    torn_checkpoint(tmp_path, "step_00000004.partial")
    deleted = checkpoint.prune(tmp_path, keep_last=2, keep_every=0)
    assert [folder.name[5:] for folder in deleted] == ["00000001", "00000003", "00000004.partial"]
    assert checkpoint.complete_steps(tmp_path) == [2, 5]


def test_a_torn_one_is_not_spared_for_its_step(tmp_path: Path) -> None:
    torn_checkpoint(tmp_path, "step_00000004")
    torn_checkpoint(tmp_path, "step_00000008.partial")
    whole_checkpoint(tmp_path, 8)
    whole_checkpoint(tmp_path, 9)
    checkpoint.prune(tmp_path, keep_last=1, keep_every=4)
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["step_00000008", "step_00000009"]


@pytest.mark.parametrize("being_written", ["step_00000005.partial", "step_00000005", "step_00000006.partial"])
def test_one_that_is_not_older_than_the_newest_whole_one_may_be_in_writing_and_stays(
    tmp_path: Path, being_written: str
) -> None:
    whole = 4 if being_written == "step_00000005" else 5
    whole_checkpoint(tmp_path, whole)
    torn_checkpoint(tmp_path, being_written)
    assert checkpoint.prune(tmp_path, keep_last=1, keep_every=0) == []
    assert (tmp_path / being_written / "__0_0.distcp").exists()


def test_where_none_is_whole_nothing_goes(tmp_path: Path) -> None:
    torn_checkpoint(tmp_path, "step_00000001")
    torn_checkpoint(tmp_path, "step_00000002.partial")
    assert checkpoint.prune(tmp_path, keep_last=1, keep_every=0) == []


def test_what_somebody_else_put_there_is_left_alone(tmp_path: Path) -> None:
    whole_checkpoint(tmp_path, 3)
    torn_checkpoint(tmp_path, "step_00000002.mine")
    torn_checkpoint(tmp_path, "step_by_step")
    assert checkpoint.prune(tmp_path, keep_last=1, keep_every=2) == []


@pytest.mark.parametrize("refused", [PermissionError(errno.EACCES, "denied"), OSError(errno.ESTALE, "stale handle")])
def test_one_whose_marker_cannot_be_read_may_be_whole_and_is_told_and_left_alone(
    refused: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A file system across a network may refuse once, and the checkpoint be the one that is to be kept."""
    for step in (1, 2, 3):
        whole_checkpoint(tmp_path, step)
    read = checkpoint.read_state

    def read_but_one(folder: Path) -> checkpoint.LearnerState:
        if folder.name.endswith("2"):
            raise refused
        return read(folder)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "read_state", read_but_one)
        assert [folder.name[-1] for folder in checkpoint.prune(tmp_path, keep_last=1, keep_every=0)] == ["1"]
    assert f"leaving {tmp_path / 'step_00000002'} alone" in caplog.text
    assert checkpoint.complete_steps(tmp_path) == [2, 3]


def test_so_is_one_whose_marker_is_of_another_version(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for step in (1, 2):
        whole_checkpoint(tmp_path, step)
    (tmp_path / "step_00000001" / "learner.json").write_bytes(b'{"step": "the first"}')
    assert checkpoint.prune(tmp_path, keep_last=1, keep_every=0) == []
    assert f"leaving {tmp_path / 'step_00000001'} alone" in caplog.text


@pytest.mark.parametrize("left", [b"", b'{"step": 1, "upd', b"\xff\xfe"])
def test_one_whose_marker_a_power_cut_left_is_torn(left: bytes, tmp_path: Path) -> None:
    for step in (1, 2):
        whole_checkpoint(tmp_path, step)
    (tmp_path / "step_00000001" / "learner.json").write_bytes(left)
    assert [folder.name[-1] for folder in checkpoint.prune(tmp_path, keep_last=1, keep_every=0)] == ["1"]


def test_a_deletion_that_is_interrupted_leaves_a_torn_one_and_not_one_that_passes_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(folder: Path) -> None:
        raise KeyboardInterrupt(folder)

    for step in (1, 2):
        whole_checkpoint(tmp_path, step)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("learner.checkpoint.shutil.rmtree", interrupted)
        checkpoint.prune(tmp_path, keep_last=1, keep_every=0)
    assert checkpoint.complete_steps(tmp_path) == [2]
    assert [folder.name[-1] for folder in checkpoint.prune(tmp_path, keep_last=1, keep_every=0)] == ["1"]


def test_one_that_cannot_be_deleted_is_told_and_the_others_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def busy(folder: Path) -> None:
        if folder.name.endswith("1"):
            raise OSError(errno.EBUSY, "Device or resource busy", str(folder / ".nfs0001"))
        removed(folder)

    removed = shutil.rmtree
    for step in (1, 2, 3):
        whole_checkpoint(tmp_path, step)
    with monkeypatch.context() as patched:
        patched.setattr("learner.checkpoint.shutil.rmtree", busy)
        assert [folder.name[-1] for folder in checkpoint.prune(tmp_path, keep_last=1, keep_every=0)] == ["2"]
    assert f"cannot delete {tmp_path / 'step_00000001'}: " in caplog.text
    assert [folder.name[-1] for folder in checkpoint.prune(tmp_path, keep_last=1, keep_every=0)] == ["1"]
