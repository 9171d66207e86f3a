"""Checkpoints of the learner: written by all ranks, complete or not there at all, read by any number of ranks.

Owns the folder of one learner's checkpoints. Called by `learner.loop`; `learner.export` reads the same folders without
any process group.

    checkpoints/step_00000120.partial/   while it is written
    checkpoints/step_00000120/           renamed when every rank has written and the marker stands
        .metadata, *.distcp              weights and optimiser state (torch.distributed.checkpoint)
        …                                what the run adds (azr.run.checkpoint)
        learner.json                     step, updates, the model's source: the marker, written last
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import torch.distributed as dist
from torch.distributed.checkpoint import state_dict_loader, state_dict_saver
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

from azr.files import write_bytes
from learner.trainer import Trainer

logger = logging.getLogger(__name__)

#: Stands in a checkpoint that every rank has written to its end.
MARKER = "learner.json"
_PARTIAL = ".partial"


class LearnerState(msgspec.Struct, frozen=True):
    """What a checkpoint says besides its tensors."""

    step: int
    """Learner steps behind these weights."""
    updates: int
    """Optimiser updates behind them."""
    model: str
    """Folder or name from which the model's configuration and tokenizer come."""
    lora_scale: float = 0.0


def checkpoint_folder(root: Path, step: int) -> Path:
    """Where the checkpoint after `step` steps lies."""
    return root / f"step_{step:08d}"


def save(
    root: Path, trainer: Trainer, state: LearnerState, *, companions: Callable[[Path], None] | None = None
) -> Path:
    """Write a checkpoint; all ranks call it. What stood there under the same step is replaced.

    `companions`, on the first rank, writes what else belongs into the folder, while it is still aside.
    """
    final = checkpoint_folder(root, state.step)
    partial = final.with_name(final.name + _PARTIAL)
    first = trainer.ranks.rank == 0
    if first:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    _wait_for_all()
    model, optimiser = get_state_dict(trainer.policy, trainer.optimiser)
    state_dict_saver.save(
        {"model": model, "optimiser": optimiser}, checkpoint_id=partial, no_dist=not dist.is_initialized()
    )
    _wait_for_all()
    if first:
        if companions:
            companions(partial)
        write_bytes(partial / MARKER, msgspec.json.encode(state))
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
    _wait_for_all()
    return final


def load(folder: Path, trainer: Trainer) -> LearnerState:
    """Put a checkpoint into a trainer of any number of ranks; all ranks call it."""
    state = read_state(folder)
    model, optimiser = get_state_dict(trainer.policy, trainer.optimiser)
    tensors: dict[str, Any] = {"model": model, "optimiser": optimiser}
    state_dict_loader.load(tensors, checkpoint_id=folder, no_dist=not dist.is_initialized())
    set_state_dict(
        trainer.policy, trainer.optimiser, model_state_dict=tensors["model"], optim_state_dict=tensors["optimiser"]
    )
    trainer.updates = state.updates
    return state


def read_state(folder: Path) -> LearnerState:
    """What the checkpoint says of itself; a folder that holds none is refused."""
    try:
        return msgspec.json.decode((folder / MARKER).read_bytes(), type=LearnerState)
    except FileNotFoundError:
        raise FileNotFoundError(f"{folder} holds no complete checkpoint: it has no {MARKER}") from None


def newest(root: Path) -> Path | None:
    """The complete checkpoint of the highest step; what is torn is passed over with a warning."""
    for folder in sorted(root.glob("step_*"), reverse=True):
        if folder.name.endswith(_PARTIAL):
            logger.warning("passing over %s: it was not written to its end", folder)
            continue
        try:
            read_state(folder)
        except (OSError, msgspec.DecodeError) as error:
            logger.warning("passing over %s: %s", folder, error)
            continue
        return folder
    return None


def prune(root: Path, *, keep_last: int, keep_every: int) -> list[Path]:
    """Delete checkpoints that the policy does not keep; returns what was deleted. The newest always stays."""
    complete = sorted(folder for folder in root.glob("step_*") if not folder.name.endswith(_PARTIAL))
    spared = set(complete[-max(1, keep_last) :])
    if keep_every:
        spared |= {folder for folder in complete if int(folder.name.removeprefix("step_")) % keep_every == 0}
    deleted = [folder for folder in complete if folder not in spared]
    for folder in deleted:
        shutil.rmtree(folder)
    return deleted


def _wait_for_all() -> None:
    if dist.is_initialized():
        dist.barrier()
