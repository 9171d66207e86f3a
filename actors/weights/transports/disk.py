"""`disk`: the version's file lies in a folder that all machines see (`weights.folder`). Nothing is sent.

Differs from `shm` in where the file lies, and in that it is synced before replicas on other machines are told of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from actors.weights.transports.base import Fleet
from actors.weights.transports.files import file_name
from actors.weights.transports.shm import SharedMemory
from azr.files import sync_folder
from azr.game.types import Version

if TYPE_CHECKING:
    from torch import Tensor


class SharedFolder(SharedMemory):
    """The publisher's side."""

    needs_file = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def carry(self, version: Version, checksum: str, tensors: Mapping[str, Tensor], fleet: Fleet) -> int:
        """Everybody takes the file, which is on the disk by then and not only in this machine's memory."""
        descriptor = os.open(self._folder / file_name(version), os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_folder(self._folder)
        return super().carry(version, checksum, tensors, fleet)
