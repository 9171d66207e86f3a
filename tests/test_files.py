"""A file is the old one or the new one, whatever happens while it is written."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from azr import files
from azr.files import append_lines, make_folder, require_writable, sync_folder


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a.txt", "grüße\n")
    assert (tmp_path / "a.txt").read_bytes() == "grüße\n".encode()


def test_missing_folders_are_made(tmp_path: Path) -> None:
    files.write_bytes(tmp_path / "deep" / "down" / "a", b"1")
    assert (tmp_path / "deep" / "down" / "a").read_bytes() == b"1"


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a"
    files.write_bytes(path, b"long old content")
    files.write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_while_writing_keeps_the_old_file_and_leaves_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a"
    files.write_bytes(path, b"old")
    with pytest.raises(RuntimeError, match="half way"), files.replacing(path) as file:
        file.write(b"ne")
        raise RuntimeError("half way")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_readers_see_the_old_content_until_the_new_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a"
    files.write_bytes(path, b"old")
    with files.replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    files.write_bytes(tmp_path / "a", b"1")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_a_process_killed_while_writing_loses_nothing_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a"
    files.write_bytes(path, b"old" * 1000)
    code = (
        "import sys, pathlib\nfrom azr import files\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "print('ready', flush=True)\n"
        "while True: files.write_bytes(path, b'new' * 1000)"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.05)
    finally:
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait(timeout=10)
        if writer.stdout:
            writer.stdout.close()
    assert path.read_bytes() in (b"old" * 1000, b"new" * 1000)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, b"one\ntwo\n"),
        (b"", b"one\ntwo\n"),
        (b"old\n", b"old\none\ntwo\n"),
        (b"old\nha", b"old\nha\none\ntwo\n"),
        (b"h", b"h\none\ntwo\n"),
    ],
    ids=["no file", "an empty one", "whole lines", "half a line", "half a line alone"],
)
def test_lines_are_put_behind_what_a_crash_left(before: bytes | None, after: bytes, tmp_path: Path) -> None:
    path = tmp_path / "lines"
    if before is not None:
        path.write_bytes(before)
    append_lines(path, b"one\n")
    append_lines(path, b"two\n")
    assert path.read_bytes() == after


def test_a_full_disk_refuses_lines_with_an_error() -> None:
    with pytest.raises(OSError, match="No space left on device"):
        append_lines(Path("/dev/full"), b"one\n")


def failing_with(number: int) -> Callable[[int], None]:
    def fsync(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    return fsync


def test_a_folder_that_cannot_be_synced_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", failing_with(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        sync_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "gone")


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_filesystem_that_syncs_no_folders_is_passed_over(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing_with(number))
    sync_folder(tmp_path)


def test_each_new_folder_is_made_safe_in_the_one_above_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("azr.files.sync_folder", synced.append)
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert synced == [tmp_path, tmp_path / "a"]
    assert (tmp_path / "a" / "b").is_dir()


def test_whether_a_file_can_be_written_is_found_out_without_writing_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a"
    require_writable(path)
    assert path.parent.is_dir() and list(path.parent.iterdir()) == []
    path.write_bytes(b"old")
    require_writable(path)
    assert path.read_bytes() == b"old"


def test_what_cannot_be_written_is_told_by_the_name_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(IsADirectoryError) as refused:
        require_writable(tmp_path)
    assert refused.value.filename == str(tmp_path)

    def full(**_options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", f"{tmp_path}/tmp123")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(PermissionError) as denied:
        require_writable(tmp_path / "a")
    assert denied.value.filename == str(tmp_path / "a")
