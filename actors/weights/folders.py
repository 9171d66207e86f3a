"""The folder in which one run's versions lie: where it is, whose, what room it needs, and what of it goes when.

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
from azr.errors import AzrError
from azr.held_folders import LOCK, remove_abandoned

#: How many replicas of each pool should serve, if that was changed since the run began.
WANTED = "wanted.json"

_GIB = 1 << 30


def versions_folder(parent: str, name: str) -> Path:
    """Where versions of the engines called `name` lie: a folder of their own, in memory where no parent is given."""
    return Path(parent or "/dev/shm").absolute() / f"azr-{name}"


def in_memory(folder: Path) -> bool:
    """Whether it lies where Ray's object store does."""
    return folder.is_relative_to("/dev/shm")


def require_room(folder: Path, size: int, keep: int, travelling: int = 0) -> None:
    """Room for all versions of this size that will lie there at once: said at the first, and not after some steps.
    `travelling`: that the object store will hold beside them, in the same memory."""
    free = shutil.disk_usage(folder).free
    if free < (max(1, keep + 1 - _lying(folder)) + travelling) * size:
        beside = ", and one more travels between machines" if travelling else ""
        raise no_room(
            folder,
            size,
            f"{keep + 1 + travelling} must fit (weights.keep_versions={keep}, and the next is written before the oldest"
            f" goes{beside}), and {free / _GIB:.2f} GiB are free",
        )


def no_room(folder: Path, size: int, why: str) -> AzrError:
    """The system's error names no folder, and whoever reads it looks at the run's disk."""
    more = "give it more (docker run --shm-size, a pod's memory volume), " if in_memory(folder) else ""
    return AzrError(
        f"{folder} does not take weights of {size} bytes ({size / _GIB:.2f} GiB) beside the {_lying(folder)}"
        f" versions there: {why}",
        f"make room there, {more}name another (weights.folder), or keep fewer of them (weights.keep_versions)",
    )


def _lying(folder: Path) -> int:
    """How many versions lie in the folder."""
    try:
        return sum(version_of(path) is not None for path in folder.iterdir())
    except OSError:
        return 0


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
