"""Room on the disk: required at the start, watched afterwards, told when it changes and only then."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from azr.errors import AzrError
from azr.files import free_bytes
from azr.run.room import Room, free_gb


def test_too_little_room_is_refused_with_its_mend(tmp_path: Path) -> None:
    Room(tmp_path, 1.0, free=lambda _folder: 1.0).require()
    with pytest.raises(AzrError, match=r"has 0\.5 GiB left, and checkpoint\.free_gb is 1") as refused:
        Room(tmp_path, 1.0, free=lambda _folder: 0.5).require()
    assert "run.folder" in refused.value.mend


def test_a_folder_that_is_not_there_yet_is_measured_where_it_would_be(tmp_path: Path) -> None:
    assert free_gb(tmp_path / "runs" / "one") == pytest.approx(free_bytes(tmp_path) / 2**30, abs=1.0)


def test_a_disk_that_does_not_answer_for_a_moment_ends_nothing(tmp_path: Path) -> None:
    def free(_folder: Path) -> float:
        raise OSError(errno.ESTALE, "stale file handle")

    assert Room(tmp_path, 1.0, free=free).news() == ""


def test_a_disk_that_fills_while_the_run_goes_on_is_told_once_an_outage(tmp_path: Path) -> None:
    free = iter([2.0, 0.9, 0.8, 1.5, 1.6, 0.1])
    room = Room(tmp_path, 1.0, free=lambda _folder: next(free))
    told = [room.news() for _ in range(6)]
    assert [bool(line) for line in told] == [False, True, False, True, False, True]
    assert told[1].endswith("has 0.9 GiB left; checkpoints that do not fit are left out")
    assert told[3].endswith("has 1.5 GiB left again")
