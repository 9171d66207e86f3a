"""The folder in which one run's versions lie: where it is, whose, and what of it goes when.

The registry holds it (`azr.held_folders`), and a publisher on its machine, so that what a killed run left is removed
by the next registry there. Publishers put versions into it, whole or not at all (`actors.weights.transports.files`);
everything that removes goes by name, and touches nothing else.

    azr-NAME/  .held  wanted.json  0.3.safetensors  0.3.safetensors.json  .0.4.safetensors.77/ (in writing)
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection
from pathlib import Path

from actors.weights.transports.files import NOTE, version_of
from azr.held_folders import LOCK, remove_abandoned

#: How many replicas of each pool should serve, if that was changed since the run began.
WANTED = "wanted.json"


def versions_folder(parent: str, name: str) -> Path:
    """Where versions of the engines called `name` lie: a folder of their own, in memory where no parent is given."""
    return Path(parent or "/dev/shm").absolute() / f"azr-{name}"


def remove_abandoned_versions(parent: Path) -> list[Path]:
    """Remove folders of versions that no registry holds any more."""
    return remove_abandoned(parent, "azr-azr-*", remove=remove_versions)


def remove_versions(folder: Path) -> None:
    """Remove what registry and publisher put into their folder, and the folder when nothing else is in it."""
    with contextlib.suppress(OSError):
        remove_others(folder, ())
        (folder / WANTED).unlink(missing_ok=True)
        if all(path.name == LOCK for path in folder.iterdir()):
            (folder / LOCK).unlink(missing_ok=True)
            folder.rmdir()


def remove_others(folder: Path, kept: Collection[str]) -> None:
    """Remove versions and notes whose names are not among `kept`, and what is unfinished, which is as large as a model:
    a publisher that is killed leaves half a version, or one that the registry never heard of."""
    for path in folder.iterdir():
        if path.name in kept or not _is_version(path.name):
            continue
        if path.is_dir():
            if path.name.startswith("."):
                shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _is_version(name: str) -> bool:
    """Whether it is a version or its note, or what is being written under the name of either, or of the counts
    (`.name.*`)."""
    if name.startswith("."):
        name = name.removeprefix(".").removesuffix(".part").rpartition(".")[0]
        if name == WANTED:
            return True
    return version_of(Path(name.removesuffix(NOTE))) is not None
