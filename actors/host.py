"""Which machine this is."""

from __future__ import annotations

import functools
import socket
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SHARED_MEMORY = Path("/dev/shm")


@functools.cache
def host_id() -> str:
    """The same for all processes that share memory and no others: boot, host name, and the mount of /dev/shm."""
    boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
    memory = _SHARED_MEMORY.stat().st_dev if _SHARED_MEMORY.exists() else 0
    return f"{socket.gethostname()}/{boot}/{memory}"
