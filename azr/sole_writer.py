"""One process at a time writes into a folder: a second one would take the first's half-written files for leftovers.

The lock is the system's, which lets go of it when its holder ends, however that ends; what is in the file names the
holder for whoever is refused. Called for runs (azr.run.folder), `azr sft` and `azr tiny pretrain`.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from azr.errors import AzrError
from azr.files import make_folder
from azr.locks import locked
from azr.text import printable

LOCK = "run.lock"


@contextlib.contextmanager
def sole_writer(folder: Path, mend: str = "let it end, or name another folder") -> Iterator[None]:
    """Be the folder's only writer within the block; while another is at work this is refused, nothing is touched."""
    make_folder(folder)
    with (folder / LOCK).open("a+") as file:
        if not locked(file):
            file.seek(0)
            raise AzrError(f"{folder} is in use: {printable(file.read().strip())} writes into it", mend)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield
