"""What a killed engine leaves on the machine, and its removal.

A process that is killed cleans up nothing: vLLM's sockets stay in /tmp, its semaphores and rings in /dev/shm, and
nobody ever removes them. Sockets are therefore kept in a folder named after the process that owns them; semaphores
carry the engine's process id in their name; and a ring that no process maps any more has no owner left.

    engine dies:  its replica sweeps      replica dies: the registry sweeps, once the engine has followed it
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Collection
from pathlib import Path

_SHARED_MEMORY = Path("/dev/shm")
_TEMPORARY = Path(tempfile.gettempdir())
_SOCKETS = "azr-engine"

#: A ring that is being made is mapped within moments; one that nobody maps and that is older than this is nobody's.
_RING_SECONDS = 60.0


def socket_folder() -> Path:
    """This process's folder for vLLM's sockets; gone when it ends by itself."""
    folder = _TEMPORARY / f"{_SOCKETS}-{os.getpid()}"
    if not folder.exists():
        folder.mkdir(mode=0o700)
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def sweep(pids: Collection[int]) -> list[str]:
    """Remove what these processes left, of which none may live any more; the answer: what was removed."""
    dead = [pid for pid in pids if not Path(f"/proc/{pid}").exists()]
    found = [path for pid in dead for path in _SHARED_MEMORY.glob(f"sem.loky-{pid}-*")]
    removed = [str(path) for path in (*found, *_abandoned_rings()) if _unlink(path)]
    for pid in dead:
        folder = _TEMPORARY / f"{_SOCKETS}-{pid}"
        if folder.exists():
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(str(folder))
    return removed


def sweep_sockets() -> None:
    """Remove the sockets of this process's engines, none of which may be running."""
    for path in socket_folder().iterdir():
        _unlink(path)


def _abandoned_rings() -> list[Path]:
    old = time.time() - _RING_SECONDS
    rings = [path for path in _SHARED_MEMORY.glob("psm_*") if _owned_and_older(path, old)]
    if not rings:
        return []
    mapped = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):
            mapped |= {line.rsplit("/", 1)[1] for line in maps.read_text().splitlines() if "/dev/shm/psm_" in line}
    return [path for path in rings if path.name not in mapped]


def _owned_and_older(path: Path, moment: float) -> bool:
    with contextlib.suppress(OSError):
        status = path.stat()
        return status.st_uid == os.getuid() and status.st_mtime < moment
    return False


def _unlink(path: Path) -> bool:
    with contextlib.suppress(OSError):
        path.unlink()
        return True
    return False
