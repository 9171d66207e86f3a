"""Folders outside a run's own: somebody's while he lives, and nobody's afterwards, however he ended.

Who makes one holds a lock in it, which the system lets go of with his process. So a folder whose lock is free is
nobody's, and the next one to make a folder of that kind removes it. Process ids would say less: a dead owner's may be
another's by now, and one in another container names nobody here.

    hold(folder) ──► folder/.held: shared lock, boot id ──► process ends ──► remove_abandoned(parent, "azr-kind-*")

Used for versions of weights (actors.weights.folders), Ray's own files (azr.run.local_ray), engines' sockets
(actors.engine.leftovers), models that are exported for a while (azr.cli.serve, azr.run.session), and logs of short jobs
(azr.run.session).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import IO

from azr.errors import AzrError
from azr.locks import locked

#: The file in a folder whose lock says that it is somebody's.
LOCK = ".held"

#: What changed within so many seconds is left alone: its owner may be about to take the lock.
QUIET_SECONDS = 300.0

#: How long somebody who looks whether a folder is nobody's, and removes it if so, may take; and the time between tries.
WAIT_SECONDS, LOOK_SECONDS = 60.0, 0.1

#: Where folders of sockets go when the system's temporary one has too long a path for them.
SHORT = Path("/tmp")

#: Kinds of folders that azr makes in the system's temporary one, or there.
TEMPORARY = ("ray", "engine", "serve", "model", "session")


def hold(folder: Path) -> IO[str]:
    """Make the folder somebody's until the file is closed or the process ends. Several may hold it.

    Where the file system knows no locks it is held by nobody, and never removed by others either.
    """
    ends = time.monotonic() + WAIT_SECONDS
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            file = os.fdopen(os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "r+")
        except FileNotFoundError:  # somebody removed the folder just now
            continue
        if not locked(file, shared=True):
            file.close()
            if time.monotonic() > ends:
                raise AzrError(
                    f"{folder / LOCK} has been locked for {WAIT_SECONDS:g} s by another process",
                    "whoever it is should only look: find it with fuser, and end it",
                ) from None
            time.sleep(LOOK_SECONDS)
            continue
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), (folder / LOCK).stat()):
                file.truncate(0)
                file.write(_kernel())
                file.flush()
                return file
        file.close()  # it was removed between its making and its locking: make it anew


def remove_abandoned(
    parent: Path,
    pattern: str,
    *,
    remove: Callable[[Path], None] | None = None,
    clock: Callable[[], float] = time.time,
) -> list[Path]:
    """Remove this user's folders of that name that somebody held and nobody holds; returns what was removed.

    What was held under another kernel is left alone: on a file system that machines share, each may know its own locks
    alone. Two who do this together may meet the same folder: what is gone meanwhile is passed over.
    """
    removed = []
    for path in parent.glob(pattern):
        with contextlib.suppress(OSError):
            if path.lstat().st_uid == os.getuid() and _changed(path) < clock() - QUIET_SECONDS:
                with _nobodys(path) as free:
                    if free:
                        (remove or _remove)(path)
                        removed.append(path)
    return removed


def temporary_for_sockets(longest: int) -> Path:
    """The system's temporary folder, or /tmp where that one's path has more bytes: a socket's may have 107 in all."""
    folder = Path(tempfile.gettempdir())
    return folder if len(os.fsencode(folder)) <= longest else SHORT


def remove_abandoned_temporary() -> None:
    """Remove what azr left in the system's temporary folder, or in the short one instead."""
    for parent in {Path(tempfile.gettempdir()), SHORT}:
        for kind in TEMPORARY:
            remove_abandoned(parent, f"azr-{kind}-*")


@contextlib.contextmanager
def scratch(kind: str) -> Iterator[Path]:
    """A folder in the system's temporary one for the block. Those that were killed before they could remove theirs are
    tidied up after."""
    remove_abandoned_temporary()
    with tempfile.TemporaryDirectory(prefix=f"azr-{kind}-", ignore_cleanup_errors=True) as folder, hold(Path(folder)):
        yield Path(folder)


@contextlib.contextmanager
def _nobodys(folder: Path) -> Iterator[bool]:
    """Whether nobody under this kernel holds it; it stays so within the block. OSError where it was never held, or
    somebody holds it."""
    with (folder / LOCK).open("r+") as file:
        if not (held_under := file.read()) or held_under != _kernel():
            yield False
            return
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True


@cache
def _kernel() -> str:
    """Which running kernel this is: those under one see each other's locks, in whatever container they are."""
    told = Path("/proc/sys/kernel/random/boot_id")
    return told.read_text().strip() if told.exists() else ""


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _changed(folder: Path) -> float:
    """When anything in the folder changed last, in seconds since 1970."""
    times = [folder.lstat().st_mtime]
    for root, folders, names in os.walk(folder):
        for name in (*folders, *names):
            with contextlib.suppress(OSError):
                times.append(Path(root, name).lstat().st_mtime)
    return max(times)
