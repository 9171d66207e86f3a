"""Files that are either the old or the new, never half of one.

Every file azr writes whole goes through `replacing` (or `write_text`, `write_bytes` on top of it): a temporary file in
the same folder, flushed to disk, then renamed over the target. Readers and crashes see one or the other.

      write ──► .name.xxxx.part ──► fsync ──► rename ──► name ──► fsync(folder)
                     │
                     └── on any error: removed, the old file untouched

What is asked for may be a link, whose target is replaced, or no file at all (a device, a pipe): that is written to.

Files of lines grow instead (`append_lines`): a crash may leave half a line at their end, which readers pass over, and
to which the next line is not glued.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

#: Characters of a file's name in that of its temporary one: the system allows 255 bytes in all.
_NAMED = 40


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A binary file to write; it takes `path`'s place when the block ends without an error."""
    if _is_written_through(path):
        with path.open("wb") as through:
            yield through
        return
    path, mode = path.resolve(), _mode_of(path)
    make_folder(path.parent)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:_NAMED]}.", suffix=".part", dir=path.parent)
    aside = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def require_writable(path: Path) -> None:
    """Raise before long work what writing the file at its end would raise; nothing is left but its folder."""
    if _is_written_through(path):
        return
    make_folder(path.resolve().parent)
    try:
        tempfile.TemporaryFile(dir=path.resolve().parent).close()
    except OSError as error:  # with the name that was asked for, not that of the trial
        raise OSError(error.errno, error.strerror, str(path)) from error


def _is_written_through(path: Path) -> bool:
    """Whether a device, a pipe or a socket is there: a file in its place would be of no use to who waits behind it."""
    try:
        kind = path.stat().st_mode
    except OSError:  # nothing, or a link that leads nowhere yet
        return False
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return not stat.S_ISREG(kind)


def _mode_of(path: Path) -> int:
    """Who may read what is written: who may now, or for a new file whom the process's mask lets."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0o666 & ~_umask()


def _umask() -> int:
    """Without setting it for a moment, as `os.umask` would, under the hands of other threads."""
    status = Path("/proc/self/status").read_text()
    told = next((line for line in status.splitlines() if line.startswith("Umask:")), "Umask: 022")
    return int(told.split()[1], 8)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the file's content as one act."""
    with replacing(path) as file:
        file.write(content)


def write_text(path: Path, content: str) -> None:
    """Replace the file's content, as UTF-8, as one act."""
    write_bytes(path, content.encode())


def append_lines(path: Path, lines: bytes) -> None:
    """Put whole lines at the end of a file; half a line that a crash left there becomes a line of its own."""
    with path.open("a+b") as file:
        if _ends_torn(file):
            lines = b"\n" + lines
        file.write(lines)


def _ends_torn(file: IO[bytes]) -> bool:
    if not file.seekable() or file.seek(0, os.SEEK_END) == 0:
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"


def sync_folder(folder: Path) -> None:
    """Make a rename inside the folder outlast a power cut; filesystems that know no such thing are passed over."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Create a folder and those above it, so that they outlast a power cut; nothing happens when it is there."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in reversed(missing):
        sync_folder(each.parent)


def free_bytes(folder: Path) -> int:
    """Bytes that are left on the disk where a folder is, or would be."""
    folder = folder.absolute()
    there = next(each for each in (folder, *folder.parents) if each.exists())
    return shutil.disk_usage(there).free
