"""Room on the disk of a run's folder: required before it starts or goes on, and watched while it runs.

Called by the driver. A checkpoint that does not fit all the same is the learner's business (`learner.checkpoint`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from azr.errors import AzrError
from azr.files import free_bytes


def free_gb(folder: Path) -> float:
    """GiB that are left where the folder is, or would be."""
    return free_bytes(folder) / 2**30


class Room:
    """What is left for one folder."""

    def __init__(self, folder: Path, least_gb: float, free: Callable[[Path], float] = free_gb) -> None:
        self.folder, self.least_gb = folder, least_gb
        self._free = free
        self._low = False

    def require(self) -> None:
        """Refuse to go on where too little is left."""
        if (free := self._free(self.folder)) < self.least_gb:
            raise AzrError(
                f"the disk of {self.folder} has {free:.1f} GiB left, and checkpoint.free_gb is {self.least_gb:g}",
                "make room, put runs elsewhere with run.folder, or lower checkpoint.free_gb",
            )

    def news(self) -> str:
        """What to tell when room has become short, or is there again; else nothing."""
        try:
            free = self._free(self.folder)
        except OSError:  # a disk on the network that does not answer for a moment; who writes to it says more
            return ""
        low, was_low = free < self.least_gb, self._low
        self._low = low
        if low and not was_low:
            return f"the disk of {self.folder} has {free:.1f} GiB left; checkpoints that do not fit are left out"
        return f"the disk of {self.folder} has {free:.1f} GiB left again" if was_low and not low else ""
