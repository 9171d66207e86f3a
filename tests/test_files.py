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
from azr.files import append_lines, free_bytes, make_folder, require_writable, sync_folder


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


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_who_may_read_a_new_file_is_what_the_mask_says_and_an_old_one_keeps_its_readers(
    tmp_path: Path, mask: int, mode: int
) -> None:
    before = os.umask(mask)
    try:
        files.write_bytes(tmp_path / "a", b"1")
        assert (tmp_path / "a").stat().st_mode & 0o777 == mode
        (tmp_path / "a").chmod(0o640)
        files.write_bytes(tmp_path / "a", b"2")
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)


def test_a_link_stays_one_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "link"
    link.symlink_to("there/file")
    for content in (b"the first", b"the second"):
        require_writable(link)
        files.write_bytes(link, content)
        assert link.is_symlink()
        assert (tmp_path / "there" / "file").read_bytes() == content


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    """As a device does: `--output /dev/null`, typed by root, must not make a file of it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    require_writable(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        files.write_bytes(pipe, b"through")
        assert os.read(reader, 100) == b"through"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    require_writable(Path("/dev/null"))
    files.write_bytes(Path("/dev/null"), b"1")
    assert Path("/dev/null").is_char_device()


def test_a_descriptor_that_the_shell_names_is_written_to(tmp_path: Path) -> None:
    """`--output >(gzip)` is one."""
    reader, writer = os.pipe()
    files.write_bytes(Path(f"/dev/fd/{writer}"), b"through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    os.close(writer)


def test_a_folder_is_named_as_it_was_asked_for(tmp_path: Path) -> None:
    for act in (require_writable, lambda path: files.write_bytes(path, b"1")):
        with pytest.raises(IsADirectoryError) as refused:
            act(tmp_path)
        assert refused.value.filename == str(tmp_path)


def test_names_may_be_as_long_as_the_system_lets_them(tmp_path: Path) -> None:
    files.write_bytes(tmp_path / ("n" * 255), b"1")
    assert (tmp_path / ("n" * 255)).read_bytes() == b"1"


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


def test_room_is_looked_for_where_a_folder_will_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert free_bytes(tmp_path / "not" / "yet") == pytest.approx(free_bytes(tmp_path), rel=0.1)
    monkeypatch.chdir(tmp_path)
    assert free_bytes(Path("not", "yet")) == pytest.approx(free_bytes(tmp_path), rel=0.1)
