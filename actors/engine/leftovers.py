"""What a killed engine leaves on the machine, and its removal.

A process that is killed cleans up nothing: vLLM's sockets stay in /tmp, its semaphores and rings in /dev/shm, and
nobody ever removes them. So everything of ours can be told from everything else: sockets lie in a folder named after
the process that owns them, semaphores carry the engine's process id in their name, rings are noted while the engine
lives, and files that exist for moments only have their maker's process id in theirs.

    engine dies:  its replica sweeps      replica dies: the registry sweeps, once the engine has followed it
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterable
from hashlib import blake2b
from pathlib import Path
from typing import IO

from actors.host import host_id
from azr.held_folders import hold, temporary_for_sockets

_SHARED_MEMORY = Path("/dev/shm")
#: Of a socket's 107 bytes azr-engine-PID-RANDOM/UUID takes 65.
_TEMPORARY = temporary_for_sockets(42)
_SOCKETS = "azr-engine"
_TRANSIENT = ".azr-moment"

#: What this process holds, until it ends.
_held: dict[str, IO[str]] = {}


def socket_folder() -> Path:
    """This process's folder for vLLM's sockets, which it holds; gone when it ends by itself. A folder of that name that
    is not ours alone (somebody may have put it there on purpose) is not used."""
    for path in map(Path, _held):
        mine = f"{path.name}-".startswith(f"{_SOCKETS}-{os.getpid()}-")
        if mine and path.parent == _TEMPORARY and _ours_alone(path):
            return path
    folder = _TEMPORARY / f"{_SOCKETS}-{os.getpid()}"
    with contextlib.suppress(FileExistsError):  # made by this process, or left by one of the same id in another life
        folder.mkdir(mode=0o700)
    if not _ours_alone(folder):
        folder = Path(tempfile.mkdtemp(prefix=f"{_SOCKETS}-{os.getpid()}-", dir=_TEMPORARY))
    if str(folder) not in _held:
        _held[str(folder)] = hold(folder)
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def rings_of(pids: Iterable[int]) -> list[str]:
    """Names of the shared memory that these processes have mapped and that Python's `multiprocessing` made."""
    names: set[str] = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
            names |= {line.rsplit("/", 1)[1].removesuffix(" (deleted)") for line in lines if "/dev/shm/psm_" in line}
    return sorted(names)


def sweep(pids: Collection[int], rings: Collection[str] = ()) -> list[str]:
    """Remove what these processes left, as far as they are dead, and those rings of theirs if all are; the answer:
    what was removed."""
    dead = [pid for pid in pids if not _lives(pid)]
    found = [path for pid in dead for path in _SHARED_MEMORY.glob(f"sem.loky-{pid}-*")]
    if len(dead) == len(pids):
        found += [_SHARED_MEMORY / Path(ring).name for ring in rings]
    removed = [str(path) for path in found if _unlink(path)]
    for pid in dead:
        folder = _TEMPORARY / f"{_SOCKETS}-{pid}"
        if _ours_alone(folder):
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(str(folder))
    return removed


def transient(name: str) -> Path:
    """A place in memory for a file that exists for moments, told apart by this process's machine and id."""
    return _SHARED_MEMORY / f"{name}.{_machine()}.{os.getpid()}{_TRANSIENT}"


def sweep_transients() -> list[str]:
    """Remove such files of processes that are dead: model-sized ones that a kill left."""
    removed = []
    for path in _SHARED_MEMORY.glob(f"*.{_machine()}.*{_TRANSIENT}"):
        pid = path.name.removesuffix(_TRANSIENT).rpartition(".")[2]
        gone = pid.isdigit() and not Path(f"/proc/{pid}").exists()
        with contextlib.suppress(FileNotFoundError):  # replicas that start at once sweep at once
            if gone and path.lstat().st_uid == os.getuid() and _unlink(path):
                removed.append(str(path))
    return removed


def _lives(pid: int) -> bool:
    """Whether there is such a process that can still do anything: a zombie only waits to be asked how it ended."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")


def _ours_alone(folder: Path) -> bool:
    """Whether it is a folder, no link, that belongs to this user and that nobody else may enter."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and stat.S_IMODE(status.st_mode) == 0o700


def _machine() -> str:
    """Tells this machine, or container, from others that share its memory: process ids mean nothing there."""
    return blake2b(host_id().encode(), digest_size=4).hexdigest()


def _unlink(path: Path) -> bool:
    with contextlib.suppress(OSError):
        path.unlink()
        return True
    return False
