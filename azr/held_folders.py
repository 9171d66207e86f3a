"""Folders outside a run's own: somebody's while he lives, and nobody's afterwards, however he ended.

Who makes one holds a lock in it, which the system lets go of with his process. So a folder whose lock is free is
nobody's, and the next one to make a folder of that kind removes it. Process ids would say less: a dead owner's may be
another's by now, and one in another container names nobody here.

    hold(folder) ──► folder/.held: shared lock, host name ──► process ends ──► remove_abandoned(parent, "azr-kind-*")

Used for versions of weights (actors.weights.folders), Ray's own files (azr.run.local_ray), engines' sockets
(actors.engine.leftovers), and models that are exported for a while (azr.cli.serve, azr.run.session).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

#: The file in a folder whose lock says that it is somebody's.
LOCK = ".held"

#: What changed within so many seconds is left alone: its owner may be about to take the lock, or be restarted just now.
QUIET_SECONDS = 300.0


def hold(folder: Path) -> IO[str]:
    """Make the folder somebody's until the file is closed or the process ends. Several may hold it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / LOCK).open("a+")
    fcntl.flock(file, fcntl.LOCK_SH)
    file.truncate(0)
    file.write(socket.gethostname())
    file.flush()
    return file


def remove_abandoned(
    parent: Path,
    pattern: str,
    *,
    remove: Callable[[Path], None] | None = None,
    clock: Callable[[], float] = time.time,
) -> list[Path]:
    """Remove this user's folders of that name that somebody held and nobody holds; returns what was removed.

    What another machine's process held is left alone: on a file system that several share, each may know its own locks
    alone. Two who do this together may meet the same folder: what is gone meanwhile is passed over.
    """
    removed = []
    for path in parent.glob(pattern):
        with contextlib.suppress(OSError):
            if path.lstat().st_uid == os.getuid() and _changed(path) < clock() - QUIET_SECONDS and _is_free(path):
                (remove or _remove)(path)
                removed.append(path)
    return removed


@contextlib.contextmanager
def scratch(kind: str) -> Iterator[Path]:
    """A folder in the system's temporary one for the block. Those that were killed before they could remove theirs are
    tidied up after."""
    parent = Path(tempfile.gettempdir())
    remove_abandoned(parent, f"azr-{kind}-*")
    with tempfile.TemporaryDirectory(prefix=f"azr-{kind}-", ignore_cleanup_errors=True) as folder, hold(Path(folder)):
        yield Path(folder)


def _is_free(folder: Path) -> bool:
    """Whether nobody on this machine holds it any more; OSError where it was never held, or another took it first."""
    with (folder / LOCK).open("r+") as file:
        if file.read() != socket.gethostname():
            return False
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises while somebody does
        return True


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
