"""Weights as one safetensors file: written by the publisher, mapped into memory by every engine on the machine.

Owns the file's form. `shm` puts it into memory (/dev/shm), `disk` into a folder that all machines see; a replica that
sees neither gets the file's bytes from the registry. The file appears whole, under its final name, or not at all: it
is made in a folder of its maker's, because the library that writes it has names of its own for what is not whole.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azr.game.types import Version

if TYPE_CHECKING:
    from torch import Tensor

SUFFIX = ".safetensors"

#: Beside each version's file: what the registry must know of it after a restart.
NOTE = ".json"


def file_name(version: Version) -> str:
    """What a version's file is called."""
    return f"{version.lineage}.{version.step}{SUFFIX}"


def version_of(path: Path) -> Version | None:
    """The version that a file holds, by its name; None if it is no such file."""
    lineage, dot, step = path.name.removesuffix(SUFFIX).partition(".")
    if path.suffix != SUFFIX or not (dot and lineage.isdigit() and step.isdigit()):
        return None
    return Version(int(lineage), int(step))


def write_file(path: Path, tensors: Mapping[str, Tensor]) -> int:
    """Write the tensors into a folder that is there, for one that was removed at a run's end nobody removes again; the
    answer: the file's size. Not synced: after a power cut nobody is left to read it."""
    from safetensors.torch import save_file

    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.mkdir(exist_ok=True)
    try:
        save_file(_separate(tensors), whole := aside / path.name)
        whole.replace(path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return path.stat().st_size


def file_content(tensors: Mapping[str, Tensor]) -> bytes:
    """What such a file would hold, for a machine that does not see this one's memory."""
    from safetensors.torch import save

    return save(_separate(tensors))


def receive_file(info: dict[str, Any]) -> list[tuple[str, Tensor]]:
    """The tensors of a file, as views of its pages in memory."""
    from safetensors import safe_open

    # Python opens it first, and others run while that waits for a disk that does not answer. The library would let
    # nobody run, and to its front end the whole engine would seem to hang.
    with Path(info["path"]).open("rb"), safe_open(info["path"], "pt") as file:
        return [(name, file.get_tensor(name)) for name in file.keys()]  # noqa: SIM118


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that share no memory with each other, which the format does not know: tied ones are written twice."""
    seen: set[int] = set()
    separate: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        own = tensor.detach().contiguous()
        if (place := own.untyped_storage().data_ptr()) in seen:
            own = own.clone()
        seen.add(place)
        separate[name] = own
    return separate
