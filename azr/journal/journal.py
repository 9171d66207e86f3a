"""An append-only journal in one folder: what is appended is safe before it is acknowledged, and comes back on opening.

Owned by a shard of the experience service through `azr.journal.durable`, or of the task service through
`azr.journal.tasks`. Knows nothing of what records mean.

      open() ── judge, cut off a torn tail ──► records() ──► one after the other  00000007.journal   (read in pieces)
      append_many(records) ── one write ── sync by policy ──► acknowledge        00000007.journal   (grows)
      compact(records) ── 00000008.journal.part ── sync ── rename ── sync names ──► 00000008.journal, 7 removed

Nobody waits here but for the disk. An error while writing takes the file back to the last acknowledged record, so that
a full disk costs the call that met it and nothing else. An error while syncing makes the journal unusable: what the
disk holds is then unknown until it is opened anew.
"""

from __future__ import annotations

import contextlib
import errno
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO, Literal, NamedTuple

from azr.errors import AzrError
from azr.journal import frames
from azr.journal.storage import Appender, Storage

logger = logging.getLogger(__name__)

SyncPolicy = Literal["commit", "interval", "never"]
"""`commit`: each append is synced before it returns: a power cut loses nothing acknowledged. `interval`: synced when
the last sync is `sync_seconds` old, see `sync_if_due`: a killed process loses nothing, a power cut at most that long.
`never`: left to the system: a killed process loses nothing."""

_SUFFIX = ".journal"
_PART = ".part"
_DAMAGED = ".damaged"


class JournalError(AzrError):
    """The journal cannot take or give back records."""


class JournalDamagedError(JournalError):
    """Acknowledged records cannot be read back. `offsets` says where."""

    def __init__(self, what: str, mend: str, offsets: tuple[int, ...]) -> None:
        super().__init__(what, mend)
        self.offsets = offsets


class Recovery(NamedTuple):
    """What opening a journal found."""

    records: int
    """How many can be read back."""
    torn_bytes: int
    """Length of an interrupted, never acknowledged write that was cut off."""
    damage: list[frames.Damage]
    """Unreadable stretches between intact records; only when opened with `salvage`."""


class Journal:
    """Records appended to a file of the present generation."""

    def __init__(
        self,
        storage: Storage,
        *,
        draw_marker: Callable[[], bytes],
        clock: Callable[[], float],
        policy: SyncPolicy = "commit",
        sync_seconds: float = 1.0,
    ) -> None:
        """`draw_marker` gives 8 unpredictable bytes (`secrets.token_bytes(8)`), `clock` seconds that never run back."""
        self._storage = storage
        self._draw_marker = draw_marker
        self._clock = clock
        self._policy = policy
        self._sync_seconds = sync_seconds
        self._generation = 0
        self._marker = b""
        self._sequence = 0
        self._size = 0
        self._synced = 0
        self._compacted = 0
        """Bytes of the file after the last compacting, or when it failed; 0 when there was none since opening."""
        self._synced_at = clock()
        self._file: Appender | None = None
        self._unusable = "it has not been opened"
        self.refused = ""
        """Why the newest records were not taken; empty once some are."""

    @property
    def size(self) -> int:
        """Bytes of the present file."""
        return self._size

    @property
    def count(self) -> int:
        """Records that it holds."""
        return self._sequence

    @property
    def synced(self) -> int:
        """Bytes of the present file that are safe from a power cut."""
        return self._synced

    def outgrew(self, bytes_: int) -> bool:
        """Whether it is time to compact: the file is longer than this, and twice as long as it was left the last time.

        So all compacting together writes no more than was appended, however much of it must stay; and what failed for
        want of room is not tried again at once.
        """
        return self._size > max(bytes_, 2 * self._compacted)

    def open(self, *, salvage: bool = False) -> Recovery:
        """Look through everything and make ready to append; cuts off a torn tail, with a warning.

        Damage in the middle raises `JournalDamagedError` and changes nothing, unless `salvage` asks for what is left:
        the damaged file is then kept beside the journal under the name `….damaged`.
        """
        self.close()
        generations = self._generations()
        if not generations:
            self._begin_generation(1, ())
            return Recovery(0, 0, [])
        newest = generations[-1]
        name = _name(newest)
        with self._storage.read_from(name) as file:
            marker = frames.read_marker(file)
            if marker is None:
                raise JournalDamagedError(
                    f"{self._storage.describe(name)} is no journal, or of another format, or its header is damaged",
                    "restore it, or move it away to begin an empty journal; what it holds is then lost",
                    (0,),
                )
            content = frames.survey(file, marker)
            if content.damage and not salvage:
                raise self._damaged(name, content)
            if content.damage:
                self._keep_damaged(name, file)
                self._begin_generation(newest + 1, frames.records(file, marker, content.end))
                self._remove_older()
            else:
                self._resume_generation(newest, content)
        return Recovery(content.records, content.torn, content.damage)

    def records(self) -> Iterator[bytes]:
        """Every record that it holds by now, the oldest first, one at a time; more may be appended meanwhile."""
        self._usable()
        name, marker, size, count = _name(self._generation), self._marker, self._size, self._sequence
        read = 0
        with self._storage.read_from(name) as file:
            for record in frames.records(file, marker, size):
                yield record
                read += 1
                del record  # before the next is read: each may be long
        if read != count:
            raise JournalError(
                f"of the {count} records of {self._storage.describe(name)} only {read} could be read a second time",
                "look at the disk, then open the journal anew",
            )

    def append_many(self, records: Sequence[bytes]) -> None:
        """Append records in one write; when it returns they may be acknowledged. All or none of them."""
        file = self._usable()
        parts: list[bytes] = []
        for number, body in enumerate(records, self._sequence):
            parts += (_frame(self._marker, number, self._synced, body), body)
        data = b"".join(parts)
        try:
            file.write(data)
        except OSError as error:
            refusal = self._taken_back(file, error, len(data))
            self.refused = refusal.what
            raise refusal from error
        self.refused = ""
        self._size += len(data)
        self._sequence += len(records)
        if self._policy == "commit":
            self.sync()
        self.sync_if_due()

    def append(self, record: bytes) -> None:
        """Append one record."""
        self.append_many((record,))

    def sync(self) -> None:
        """Make everything appended safe from a power cut."""
        file = self._usable()
        try:
            file.sync()
        except OSError as error:
            self._unusable = f"syncing it failed ({error})"
            raise JournalError(
                f"{self._describe()} could not be synced: {error}",
                "mend the disk and open the journal anew: what was not acknowledged is not in doubt",
            ) from error
        self._synced, self._synced_at = self._size, self._clock()

    def sync_if_due(self) -> None:
        """By the policy `interval`: sync what was appended when the last sync is `sync_seconds` old. Asked with every
        append; what is appended last waits for whoever asks after it."""
        if self._policy != "interval" or self._synced == self._size:
            return
        if self._clock() - self._synced_at >= self._sync_seconds:
            self.sync()

    def compact(self, records: Iterable[bytes]) -> None:
        """Put a shorter history in place of the present one, as one act: a crash leaves the one or the other."""
        self._usable()
        self._compacted = self._size
        self._begin_generation(self._generation + 1, records)
        self._remove_older()

    def close(self) -> None:
        """Let go of the file; everything acknowledged is on its way to the disk by the policy's terms."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._unusable = "it is closed"

    def require_usable(self) -> None:
        """Raise where no record can be appended until it is opened anew: what failed may have failed unnoticed."""
        self._usable()

    def _usable(self) -> Appender:
        if self._file is None or self._unusable:
            raise JournalError(f"{self._describe()} cannot be used: {self._unusable}", "open it anew")
        return self._file

    def _generations(self) -> list[int]:
        """Generations in the folder, oldest first; unfinished files are removed."""
        generations = []
        for name in self._storage.names():
            if name.endswith(_PART):
                self._storage.remove(name)
            elif name.endswith(_SUFFIX) and name.removesuffix(_SUFFIX).isdigit():
                generations.append(int(name.removesuffix(_SUFFIX)))
        return sorted(generations)

    def _begin_generation(self, generation: int, records: Iterable[bytes]) -> None:
        """Write a new file aside, sync it, and put it in place of the present one."""
        part = _name(generation) + _PART
        marker = self._draw_marker()
        file: Appender | None = None
        size, count = 0, 0
        try:
            self._storage.remove(part)
            file = self._storage.append_to(part)  # a full disk may refuse even the name
            for data in _file_of(marker, records):
                file.write(data)
                size, count = size + len(data), count + 1
            file.sync()
        except BaseException as error:
            if file is not None:
                file.close()
            with contextlib.suppress(OSError):  # it is taken away by whoever writes or opens the next
                self._storage.remove(part)
            if isinstance(error, OSError):
                raise self._write_error(error, size, "the journal as it was") from error
            raise
        try:
            self._put_in_place(part, _name(generation))
        except JournalError:
            file.close()
            raise
        self.close()
        self._generation, self._marker, self._file = generation, marker, file
        self._size, self._sequence, self._unusable = size, count - 1, ""
        self._synced, self._synced_at, self._compacted = size, self._clock(), size

    def _put_in_place(self, part: str, name: str) -> None:
        """Rename; if that fails half-way, which file the next opening finds is unknown, so nothing more is appended."""
        try:
            self._storage.rename(part, name)
            self._storage.sync_names()
        except OSError as error:
            self._unusable = f"putting {name} in place failed ({error})"
            raise self._write_error(error, 0, "the journal, old or new,") from error

    def _resume_generation(self, generation: int, content: frames.Content) -> None:
        name = _name(generation)
        self._storage.sync_names()
        file = self._storage.append_to(name)
        if content.torn:
            logger.warning("%s: cut off %d bytes of an interrupted write", self._storage.describe(name), content.torn)
            file.truncate(content.end)
        file.sync()
        self._generation, self._marker, self._file = generation, content.marker, file
        self._size, self._sequence, self._unusable = content.end, content.next_sequence, ""
        self._synced, self._compacted = content.end, 0
        self._remove_older()

    def _remove_older(self) -> None:
        """What cannot be removed is read by nobody, and goes with the next opening or compacting."""
        try:
            for older in self._generations():
                if older < self._generation:
                    self._storage.remove(_name(older))
        except OSError as error:
            logger.warning("%s: older files stay beside it for now: %s", self._describe(), error)

    def _keep_damaged(self, name: str, file: BinaryIO) -> None:
        self._storage.remove(name + _DAMAGED)
        copy = self._storage.append_to(name + _DAMAGED)
        file.seek(0)
        while piece := file.read(frames.PIECE_BYTES):
            copy.write(piece)
        copy.sync()
        copy.close()

    def _taken_back(self, file: Appender, error: OSError, size: int) -> JournalError:
        """Take the file back to its last good state after a failed write."""
        try:
            file.truncate(self._size)
        except OSError as second:
            self._unusable = f"a write failed ({error}) and could not be taken back ({second})"
        return self._write_error(error, size, "every record acknowledged so far")

    def _write_error(self, error: OSError, size: int, intact: str) -> JournalError:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return JournalError(
            f"{self._describe()}: writing {size} bytes failed: {'the disk is full' if full else error}; "
            f"{intact} is intact",
            "free space on that disk; the call can then be repeated" if full else "mend the disk and repeat the call",
        )

    def _damaged(self, name: str, content: frames.Content) -> JournalDamagedError:
        places = ", ".join(f"bytes {gap.start} to {gap.end} ({gap.missing} or more records)" for gap in content.damage)
        return JournalDamagedError(
            f"{self._storage.describe(name)} is damaged at {places}; {content.records} records are readable",
            "restore the file, or resume from a checkpoint, or salvage what is readable",
            tuple(gap.start for gap in content.damage),
        )

    def _describe(self) -> str:
        return f"the journal {self._storage.describe(_name(self._generation))}"


def _name(generation: int) -> str:
    return f"{generation:08d}{_SUFFIX}"


def _file_of(marker: bytes, records: Iterable[bytes]) -> Iterable[bytes]:
    """A whole file, which gets its name only once all of it is safe: each frame may say so of all before it."""
    yield (header := frames.header(marker))
    size = len(header)
    for number, body in enumerate(records):
        yield (framed := _frame(marker, number, size, body) + body)
        size += len(framed)


def _frame(marker: bytes, number: int, synced: int, body: bytes) -> bytes:
    """What goes before a record; one that is too long to be read back is refused like any that finds no room."""
    try:
        return frames.frame(marker, number, synced, body)
    except ValueError as error:
        raise JournalError(str(error), "record less at once") from error
