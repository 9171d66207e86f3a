"""A lock keeps others out until its file is closed, and keeps out nobody where there are no locks."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from azr.locks import locked


def test_one_holds_it_alone_until_the_file_is_closed(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("a") as first, (tmp_path / "lock").open("a") as second:
        assert locked(first)
        assert not locked(second)
        assert not locked(second, shared=True)
        first.close()
        assert locked(second)


def test_several_may_share_it_and_keep_out_who_wants_it_alone(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("a") as first, (tmp_path / "lock").open("a") as second:
        assert locked(first, shared=True)
        assert locked(second, shared=True)
        assert not locked(second)


@pytest.mark.parametrize("told", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK])
def test_a_file_system_without_locks_keeps_out_nobody(
    told: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(told, "no locks here")

    monkeypatch.setattr(fcntl, "flock", flock)
    with (tmp_path / "lock").open("a") as file:
        assert locked(file)


def test_any_other_error_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.EIO, "the disk is broken")

    monkeypatch.setattr(fcntl, "flock", flock)
    with (tmp_path / "lock").open("a") as file, pytest.raises(OSError, match="broken"):
        locked(file)
