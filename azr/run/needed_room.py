"""What a run of this model will write, checkpoints and versions of weights, and whether there is room for it.

Called by `azr train`, with `--dry-run` or without. Sizes are arithmetic on the model's shape; of a model that is not
known nothing is said. That a disk fills up later is watched by `azr.run.room`, and survived by the learner.

    Config ──► shape ──► bytes a checkpoint, bytes of all versions ──► free where they go? ──► lines, or refused
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from actors.engine.settings import weights_dtype
from azr.config.root import Config
from azr.errors import AzrError
from azr.files import free_bytes
from azr.memory_plan.configured import versions_kept
from azr.memory_plan.demand import gib
from azr.memory_plan.learner import checkpoint_size, shared_memory_demand
from azr.memory_plan.shapes import shape_of
from azr.run.gpus import on_gpus
from azr.tiny.shipped import at_its_place

#: Checkpoints that must find room: one that stands, and the next, which is written beside it. The learner gives older
#: ones up for it, and what was left half written, where there is no room for more (`learner.loop`).
_LEAST = 2

#: Where Linux keeps shared memory, and the registry its versions unless `weights.folder` says otherwise.
SHARED_MEMORY = Path("/dev/shm")

Free = Callable[[Path], int]


class Need(NamedTuple):
    """One thing that is written."""

    name: str
    told: str
    mend: str
    """What helps where there is no room for it; empty where there is."""


def room_lines(config: Config, *, standing: int = 0, free: Free = free_bytes) -> list[str]:
    """What will be written and what is free here, a line each; `standing`: checkpoints that a resumed run has already,
    whole or not. A plan may be made on another machine than the run, so that nothing is refused."""
    return [
        f"{need.name:<12} {need.told}" + (f": NO ROOM HERE; {need.mend}" if need.mend else "")
        for need in _needs(config, standing, free)
    ]


def require_room(config: Config, *, standing: int = 0, free: Free = free_bytes) -> None:
    """Refuse a run that cannot even keep one checkpoint and write the next, or hand its weights over."""
    for need in _needs(config, standing, free):
        if need.mend:
            raise AzrError(f"no room ({need.name}): {need.told}", need.mend)


def _needs(config: Config, standing: int, free: Free) -> Iterator[Need]:
    try:
        shape = shape_of(at_its_place(config).model.path)
    except AzrError:
        return
    folder, learner = Path(config.run.folder) / config.run.name / "checkpoints", config.learner
    each, there = checkpoint_size(shape, learner), free(folder)
    most = max(_LEAST, learner.keep_last + 1)
    spared = f", besides every {learner.keep_every}th step's" if learner.keep_every else ""
    lacks = there < each * max(0, _LEAST - standing)
    least = "at least " if learner.freeze else ""
    yield Need(
        "disk",
        f"a checkpoint takes {least}{_size(each)}, {most} of them {_size(most * each)} while the newest is written"
        f"{spared}; {folder} has {_size(there)} left",
        "make room, put the run elsewhere (run.folder), or train adapters (learner.lora.rank)" if lacks else "",
    )
    if config.weights.folder:
        return
    kept = versions_kept(config)
    # A plan of a run on cards may be made where there are none, and what a cluster has nobody has asked yet: then the
    # smaller is asked for, since this refuses runs.
    gpu = bool(config.cluster.gpu or config.cluster.address) or on_gpus(config, {})
    versions = shared_memory_demand(shape, kept, 4 if weights_dtype(config.rollout, gpu=gpu) == "float32" else 2)
    # Those of a run that was killed may still lie there for a moment when it is resumed.
    lacks = (there := free(SHARED_MEMORY)) < versions and not standing
    yield Need(
        "weights",
        f"{kept} versions of them take {_size(versions)} of shared memory; {SHARED_MEMORY} has {_size(there)} left",
        "give it more (in a container --shm-size), or put them into a folder (weights.folder)" if lacks else "",
    )


def _size(count: int) -> str:
    return gib(count) if count >= 1 << 30 else f"{count / (1 << 20):,.0f} MiB"
