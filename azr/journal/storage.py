"""The few file operations a journal needs, behind a protocol, so that tests can crash between any two bytes.

`Folder` is the real one. What the journal relies on, and what the crashing one in the tests therefore breaks everywhere
else: bytes are safe after `sync`, a rename is one act, and a rename or removal is safe after `sync_names`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Protocol

from azr.files import make_folder, sync_folder


class Appender(Protocol):
    """One open file that grows at its end."""

    def write(self, data: bytes) -> None:
        """Append all of it, or raise OSError with any part of it written."""
        ...

    def sync(self) -> None:
        """Return once everything written is safe from a power cut."""
        ...

    def truncate(self, size: int) -> None:
        """Cut the file back to its first `size` bytes."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class Storage(Protocol):
    """A folder that belongs to one journal."""

    def names(self) -> list[str]:
        """The files in it."""
        ...

    def read_from(self, name: str) -> BinaryIO:
        """Open a file to read it; whoever asks closes it."""
        ...

    def append_to(self, name: str) -> Appender:
        """Open a file at its end; it is created when there is none."""
        ...

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, as one act, in place of whatever had it."""
        ...

    def remove(self, name: str) -> None:
        """Delete a file; one that is gone already is passed over."""
        ...

    def sync_names(self) -> None:
        """Return once renames and removals are safe from a power cut."""
        ...

    def describe(self, name: str) -> str:
        """How to name the file to a person."""
        ...


class Folder:
    """A real folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        make_folder(path)

    def names(self) -> list[str]:
        """The files in it."""
        return sorted(entry.name for entry in self.path.iterdir() if entry.is_file())

    def read_from(self, name: str) -> BinaryIO:
        """Open a file to read it; whoever asks closes it."""
        return (self.path / name).open("rb")

    def append_to(self, name: str) -> Appender:
        """Open a file at its end; it is created when there is none."""
        return _File(self.path / name)

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, as one act, in place of whatever had it."""
        (self.path / old).replace(self.path / new)

    def remove(self, name: str) -> None:
        """Delete a file; one that is gone already is passed over."""
        (self.path / name).unlink(missing_ok=True)

    def sync_names(self) -> None:
        """Return once renames and removals are safe from a power cut."""
        sync_folder(self.path)

    def describe(self, name: str) -> str:
        """The file's path."""
        return str(self.path / name)


class _File:
    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def sync(self) -> None:
        os.fdatasync(self._descriptor)

    def truncate(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)

    def close(self) -> None:
        os.close(self._descriptor)
