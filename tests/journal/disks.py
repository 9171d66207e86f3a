"""Disks that fail: a folder in memory that crashes at any byte or act, forgets what was not synced, or is full."""

from __future__ import annotations

import contextlib
import errno
import io
import random
from collections.abc import Iterator

from azr.journal.journal import Journal
from azr.journal.storage import Appender

#: Bytes that reach the disk together: small, so that records span many.
PAGE = 16


class PowerCutError(Exception):
    """The machine stops here."""


class Content:
    """What a file holds, and how much of it is safe."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)
        self.safe = len(data)


class CrashingDisk:
    """A folder that stops the machine after `budget` units of work: each byte written is one, each other act is one.

    `reboot` gives what a disk may hold afterwards. Bytes not synced are there up to any length (`keep` says how many),
    with holes of zeros among them where pages never reached the disk (`holes` says which), and renames and removals not
    synced happened or not (`keep_names`); what was synced is always there.
    """

    def __init__(self, budget: int | None = None, room: int | None = None) -> None:
        self.files: dict[str, Content] = {}
        self.safe_names: dict[str, Content] = {}
        self.budget = budget
        self.room = room
        self.spent = 0
        self.fail_next: dict[str, OSError] = {}
        """Acts that fail once, by name."""

    def spend(self, units: int) -> int:
        """How much of this work is done before the power goes."""
        allowed = units if self.budget is None else max(0, min(units, self.budget - self.spent))
        self.spent += allowed
        return allowed

    def act(self, name: str) -> None:
        if self.spend(1) < 1:
            raise PowerCutError
        if name in self.fail_next:
            raise self.fail_next.pop(name)

    def reboot(self, keep: float, keep_names: bool, holes: float = 0.0) -> CrashingDisk:
        """The disk after the power came back."""
        after = CrashingDisk(room=self.room)
        names = self.files if keep_names else self.safe_names
        for name, content in names.items():
            kept = content.safe + int((len(content.data) - content.safe) * keep)
            data = bytearray(content.data[:kept])
            draw = random.Random(f"{holes} {kept}")
            for page in range(content.safe, kept, PAGE):
                if draw.random() < holes:
                    data[page : page + PAGE] = bytes(len(data[page : page + PAGE]))
            after.files[name] = Content(bytes(data))
        after.safe_names = dict(after.files)
        return after

    # ---- azr.journal.storage.Storage

    def names(self) -> list[str]:
        return sorted(self.files)

    def read_from(self, name: str) -> io.BytesIO:
        return io.BytesIO(bytes(self.files[name].data))

    def append_to(self, name: str) -> CrashingFile:
        self.act("open")
        return CrashingFile(self, self.files.setdefault(name, Content()))

    def rename(self, old: str, new: str) -> None:
        self.act("rename")
        self.files[new] = self.files.pop(old)

    def remove(self, name: str) -> None:
        self.act("remove")
        self.files.pop(name, None)

    def sync_names(self) -> None:
        self.act("sync_names")
        self.safe_names = dict(self.files)

    def describe(self, name: str) -> str:
        return f"disk:{name}"


@contextlib.contextmanager
def full(journal: Journal) -> Iterator[None]:
    """Meanwhile the disk of this open journal takes not one byte more."""
    file = journal._file
    assert file is not None
    journal._file = FullFile(file)
    try:
        yield
    finally:
        journal._file = file


class FullFile:
    """A file on a disk that became full while it was open."""

    def __init__(self, file: Appender) -> None:
        self._file = file

    def write(self, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def sync(self) -> None:
        self._file.sync()

    def truncate(self, size: int) -> None:
        self._file.truncate(size)

    def close(self) -> None:
        self._file.close()


class CrashingFile:
    """A file of a crashing disk."""

    def __init__(self, disk: CrashingDisk, content: Content) -> None:
        self.disk = disk
        self.content = content

    def write(self, data: bytes) -> None:
        if "write" in self.disk.fail_next:
            self.content.data += data[: len(data) // 2]
            raise self.disk.fail_next.pop("write")
        used = sum(len(content.data) for content in self.disk.files.values())
        fits = len(data) if self.disk.room is None else max(0, min(len(data), self.disk.room - used))
        written = self.disk.spend(fits)
        self.content.data += data[:written]
        if written < fits:
            raise PowerCutError
        if fits < len(data):
            raise OSError(errno.ENOSPC, "No space left on device")

    def sync(self) -> None:
        self.disk.act("sync")
        self.content.safe = len(self.content.data)

    def truncate(self, size: int) -> None:
        self.disk.act("truncate")
        del self.content.data[size:]
        self.content.safe = min(self.content.safe, size)

    def close(self) -> None:
        pass
