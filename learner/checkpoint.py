"""Checkpoints of the learner: written by all ranks, complete or not there at all, read by any number of ranks.

Owns the folder of one learner's checkpoints. Called by `learner.loop`; `learner.export` reads the same folders without
any process group.

    checkpoints/step_00000120.partial/   while it is written
    checkpoints/step_00000120/           renamed when every rank has written and the marker stands
        .metadata, *.distcp              weights and optimiser state (torch.distributed.checkpoint)
        …                                what the run adds (azr.run.checkpoint)
        learner.json                     step, updates, the model's source: the marker, written last

A checkpoint that does not fit the disk is taken away again and told as `NoRoomError`, on all ranks alike; everything
else that fails ends the ranks.
"""

from __future__ import annotations

import errno
import logging
import re
import shutil
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import torch.distributed as dist
from torch.distributed.checkpoint import state_dict_loader, state_dict_saver
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

from azr.decoding import UNDECODABLE
from azr.errors import AzrError
from azr.files import write_bytes
from azr.tokens import tokenizer_digest
from learner.trainer import Trainer

logger = logging.getLogger(__name__)

#: Stands in a checkpoint that every rank has written to its end.
MARKER = "learner.json"
_PARTIAL = ".partial"
#: What is named otherwise was put there by somebody else.
_NAME = re.compile(rf"step_\d+({re.escape(_PARTIAL)})?")
#: A disk with less than this left is full, whatever a failed write was called by the libraries on the way.
FULL_BYTES = 16 << 20
#: What the system says of a full disk, and of a user whose quota is used up.
FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT)
#: How long a file system may take to show one machine what another has written to its end, and the time between looks.
SHOWN_SECONDS, LOOK_SECONDS = 60.0, 0.5


class NoRoomError(OSError):
    """The disk has no room for a checkpoint; nothing is left of it, and the ranks may go on."""


class LearnerState(msgspec.Struct, frozen=True):
    """What a checkpoint says besides its tensors."""

    step: int
    """Learner steps behind these weights."""
    updates: int
    """Optimiser updates behind them."""
    model: str
    """Folder or name from which the model's configuration and tokenizer come."""
    lora_scale: float = 0.0
    tokenizer: str = ""
    """Digest of the model's tokenizer; empty where nobody could tell."""
    plain_tokens: tuple[str, ...] = ()
    """Added tokens that were spelled as text, of a training without a configuration (`azr sft`)."""


def checkpoint_folder(root: Path, step: int) -> Path:
    """Where the checkpoint after `step` steps lies."""
    return root / f"step_{step:08d}"


def save(
    root: Path, trainer: Trainer, state: LearnerState, *, companions: Callable[[Path], None] | None = None
) -> Path:
    """Write a checkpoint; all ranks call it. What stood there under the same step is replaced.

    `companions`, on the first rank, writes what else belongs into the folder, while it is still aside. Raises
    `NoRoomError`, on all ranks, where the disk is full, or has no room for another one like the newest, or `companions`
    raised it for a disk of its own.
    """
    final = checkpoint_folder(root, state.step)
    partial = final.with_name(final.name + _PARTIAL)
    first = trainer.ranks.rank == 0
    # Nobody goes on before the first rank has said this, so the folder stands by then.
    if lacking := _of_first(_made(root, partial) if first else ""):
        raise NoRoomError(errno.ENOSPC, lacking)
    error: BaseException | None = None
    try:
        model, optimiser = get_state_dict(trainer.policy, trainer.optimiser)
        state_dict_saver.save(
            {"model": model, "optimiser": optimiser}, checkpoint_id=partial, no_dist=not dist.is_initialized()
        )
        if first:
            if companions:
                companions(partial)
            write_bytes(partial / MARKER, msgspec.json.encode(state))
            shutil.rmtree(final, ignore_errors=True)
            partial.rename(final)
    except (CheckpointException, OSError) as failed:
        error = failed
    said = error.strerror if isinstance(error, NoRoomError) else f"{root} has no room for {final.name}"
    full = _of_first(str(said) if error is not None and _is_full(error, root) else "")
    if full:
        if first:
            shutil.rmtree(partial, ignore_errors=True)
        _wait_for_all()
        raise NoRoomError(errno.ENOSPC, full) from error
    if error is not None:
        raise error
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
    trainer.restored(state.updates)
    return state


def read_state(folder: Path) -> LearnerState:
    """What the checkpoint says of itself; a folder that holds none is refused."""
    try:
        return msgspec.json.decode((folder / MARKER).read_bytes(), type=LearnerState)
    except FileNotFoundError:
        raise FileNotFoundError(f"{folder} holds no complete checkpoint: it has no {MARKER}") from None


def require_tokenizer(folder: Path, base: str) -> None:
    """Refuse a checkpoint whose weights speak another vocabulary than the model at `base`: the shapes may well be the
    same, and every token would mean something else. The embedded model changes with the version of azr."""
    trained, there = read_state(folder).tokenizer, tokenizer_digest(base)
    if trained and there and trained != there:
        raise AzrError(
            f"{folder} was trained with another tokenizer than {base} has now",
            "use the version of azr, or the model folder, that its run began with",
        )


def wait_until_shown(folder: Path, rank: int) -> None:
    """Until this rank can read the checkpoint too that the first rank goes on from."""
    ends = time.monotonic() + SHOWN_SECONDS
    while True:
        try:
            read_state(folder)
            return
        except (OSError, *UNDECODABLE) as error:
            if time.monotonic() > ends:
                raise TimeoutError(
                    f"rank {rank} cannot read {folder}, which the first rank goes on from, after {SHOWN_SECONDS:g} s: "
                    f"{error}"
                ) from error
        time.sleep(LOOK_SECONDS)


def newest(root: Path) -> Path | None:
    """The complete checkpoint of the highest step; what is torn, or named otherwise, is passed over with a warning."""
    for folder in sorted(root.glob("step_*"), reverse=True):
        if not _NAME.fullmatch(folder.name):
            _tell_other(folder)
            continue
        if folder.name.endswith(_PARTIAL):
            logger.warning("passing over %s: it was not written to its end", folder)
            continue
        try:
            read_state(folder)
        except (OSError, *UNDECODABLE) as error:
            logger.warning("passing over %s: %s", folder, error)
            continue
        return folder
    return None


@cache
def _tell_other(folder: Path) -> None:
    """Once in a process: every save looks for the newest, and what somebody put there stays."""
    logger.warning("passing over %s: no checkpoint is called so", folder)


def complete_steps(root: Path) -> list[int]:
    """Steps of the checkpoints that were written to their end, in order."""
    return sorted(step for folder in root.glob("step_*") if (step := _step_of(folder)) is not None)


def _step_of(folder: Path) -> int | None:
    """The step of a complete checkpoint; None of anything else."""
    if not _NAME.fullmatch(folder.name) or folder.name.endswith(_PARTIAL):
        return None
    try:
        return read_state(folder).step
    except (OSError, *UNDECODABLE):
        return None


def prune(root: Path, *, keep_last: int, keep_every: int) -> list[Path]:
    """Delete checkpoints that the policy does not keep; returns what was deleted. The newest whole one always stays.
    What cannot be deleted is told as a warning, and tried again beside the next.

    Whole ones alone count. A torn one goes when a newer one is whole, for then nobody writes it any more: steps only
    grow, and a learner that begins anew does so from the newest whole one. Any other is in writing, or goes before
    the next is written. One whose marker cannot be read now, or says what this version does not know, may be whole, and
    is left alone; one whose marker is no marker, as after a power cut, is torn.
    """
    whole, torn = list[Path](), list[Path]()
    for folder in sorted(folder for folder in root.glob("step_*") if _NAME.fullmatch(folder.name)):
        try:
            (torn if _is_torn(folder) else whole).append(folder)
        except (OSError, msgspec.ValidationError) as error:
            logger.warning("leaving %s alone, which cannot be read: %s", folder, error)
    if not whole:
        return []
    kept = set(whole[-max(1, keep_last) :])
    if keep_every:
        kept |= {folder for folder in whole if _number(folder) % keep_every == 0}
    unwanted = [folder for folder in whole if folder not in kept]
    unwanted += [folder for folder in torn if _number(folder) < _number(whole[-1])]
    deleted = []
    for folder in unwanted:
        try:
            (folder / MARKER).unlink(missing_ok=True)  # first: killed in the midst, what is left is torn, not whole
            shutil.rmtree(folder)
        except OSError as error:
            logger.warning("cannot delete %s: %s", folder, error)
        else:
            deleted.append(folder)
    return deleted


def _is_torn(folder: Path) -> bool:
    """Whether a checkpoint was not written to its end; raises where nobody can tell."""
    if folder.name.endswith(_PARTIAL):
        return True
    try:
        read_state(folder)
    except msgspec.ValidationError:
        raise
    except (FileNotFoundError, *UNDECODABLE):
        return True
    return False


def _number(folder: Path) -> int:
    """The step in a checkpoint's name, whole or not."""
    return int(folder.name.removeprefix("step_").removesuffix(_PARTIAL))


def _made(root: Path, partial: Path) -> str:
    """Make the folder that a checkpoint is written into; why it has no room, or nothing.

    What others before left half written goes first, or those of a learner that is killed again and again while it
    saves would fill the disk, each of another step. A quota, and a disk without inodes, show only in the attempt.
    """
    for folder in root.glob(f"step_*{_PARTIAL}"):
        if _NAME.fullmatch(folder.name):
            shutil.rmtree(folder, ignore_errors=True)
    if lacking := _lacking(root):
        return lacking
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        if error.errno not in FULL_ERRORS:
            raise
        return f"{root} has no room for {partial.name.removesuffix(_PARTIAL)}: {error.strerror}"
    return ""


def _lacking(root: Path) -> str:
    """Why another checkpoint like the newest would not fit; empty if it does, or nobody knows how large it will be."""
    if (last := newest(root)) is None:
        return ""
    needed = sum(file.stat().st_size for file in last.rglob("*") if file.is_file())
    free = shutil.disk_usage(root).free
    return f"{root} has {free >> 20} MiB left, and a checkpoint takes {needed >> 20}" if free < needed else ""


def _is_full(error: BaseException, root: Path) -> bool:
    """Whether a failed write is for want of room. Libraries wrap the system's word, and ranks' words lose their causes
    on the way to the first rank; so the disk itself is asked as well."""
    said = any(isinstance(one, OSError) and one.errno in FULL_ERRORS for one in _causes(error))
    return said or shutil.disk_usage(root).free < FULL_BYTES


def _causes(error: BaseException) -> Iterator[BaseException]:
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [other for other in (one.__cause__, one.__context__) if other is not None]
        if isinstance(one, CheckpointException):
            waiting += [failure for failure, _trace in one.failures.values()]


def _of_first(text: str) -> str:
    """What the first rank says, on all ranks."""
    if not dist.is_initialized():
        return text
    box = [text]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def _wait_for_all() -> None:
    if dist.is_initialized():
        dist.barrier()
