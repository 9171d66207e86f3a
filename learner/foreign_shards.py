"""Tensors out of FSDP shards that another program wrote with `torch.save`, without running anything that is in them.

Owns the reading and joining of such files. Called by `learner.import_verl`. A shard is a pickle, and a pickle is a
program; PyTorch's restricted reader (`weights_only=True`) knows no names but those it is given. We give it the names of
distributed tensors, and put inert records in the place of all of them but the tensor itself: a mesh that is read here
starts no process group, and no version of PyTorch is needed but ours.

    rank_0.pt … rank_N.pt ──► local tensors, memory-mapped ──┐
                  └─ placements, mesh of each tensor ────────┴──► joined along each sharded dimension
"""

from __future__ import annotations

import contextlib
import math
import pickle
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from azr.errors import AzrError
from azr.text import shortened

#: Characters of a refusal that are shown; a name in a shard may be as long as its writer likes.
_REASON_WIDTH = 200


class Record:
    """What stands in a shard beside tensors, kept as plain attributes."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __new__(cls, *arguments: Any) -> Record:
        """Pickles make objects without calling `__init__`."""
        record = super().__new__(cls)
        record.arguments = arguments
        return record


class Replicated(Record):
    """Every rank of the mesh dimension holds the whole."""


class Sharded(Record):
    """Ranks of the mesh dimension hold pieces along `dim`."""

    @property
    def along(self) -> int:
        """The tensor's dimension that is cut."""
        return int(self.__dict__.get("dim", self.arguments[0] if self.arguments else 0))


class Unjoinable(Record):
    """A placement that only the program that made it can undo."""


_CURRENT, _OLDER = "torch.distributed.tensor.", "torch.distributed._tensor."

#: Every name that a shard of a distributed tensor holds, in the versions of PyTorch since 2.2, and what we read it as.
_NAMES: dict[str, Callable[..., Any]] = {
    **{f"{_CURRENT}{name}": DTensor for name in ("DTensor", "_api.DTensor")},
    **{f"{_OLDER}{name}": DTensor for name in ("DTensor", "api.DTensor")},
    **{
        f"{package}placement_types.{name}": record
        for package in (_CURRENT, _OLDER)
        for name, record in {
            "Shard": Sharded,
            "Replicate": Replicated,
            "Partial": Unjoinable,
            "_Partial": Unjoinable,
            "_StridedShard": Unjoinable,
            "DTensorSpec": Record,
            "TensorMeta": Record,
        }.items()
    },
    **{f"{_CURRENT}_dtensor_spec.{name}": Record for name in ("DTensorSpec", "TensorMeta", "ShardOrderEntry")},
    "torch.distributed.device_mesh.DeviceMesh": Record,
    "torch.distributed._mesh_layout._MeshLayout": Record,
    "torch.distributed._mesh_layout._FlatLayout": Record,
}


@contextlib.contextmanager
def _only_our_names() -> Iterator[None]:
    """PyTorch's list of names is one for the whole process: ours stands alone while a shard is read."""
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals([(made, name) for name, made in _NAMES.items()])
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def read_shard(path: Path) -> dict[str, Tensor]:
    """The tensors of one rank; their content stays on disk until it is used."""
    with _only_our_names():
        try:
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError, AttributeError) as error:
            raise AzrError(
                f"{path} cannot be read as plain tensors: {_reason(error)}",
                "it is torn, or holds more than tensors; what it holds is not run",
            ) from error
    if not isinstance(state, dict):
        raise AzrError(f"{path} holds a {type(state).__name__}, not tensors by name", "name a checkpoint of a model")
    return {str(name): value for name, value in state.items() if isinstance(value, Tensor)}


def _reason(error: Exception) -> str:
    """What PyTorch says was wrong, without its advice to read the file in a way that would run it."""
    if isinstance(error, pickle.UnpicklingError):
        named = re.search(r"GLOBAL (\S+)", str(error))
        what = f"it holds {named[1]}" if named else "it is no pickle of tensors"
    else:
        what = str(error).strip().partition("\n")[0] or type(error).__name__
    return shortened(what, _REASON_WIDTH)


def join(name: str, pieces: Sequence[Tensor], expected: Sequence[int]) -> Tensor:
    """The whole tensor from what each rank holds of it, in order of ranks; `expected` is its shape in the model."""
    first = pieces[0]
    if isinstance(first, DTensor):
        local: dict[int, Tensor] = {rank: _local(piece) for rank, piece in enumerate(pieces)}
        whole = _join_mesh(name, local, first._spec.placements, mesh_ranks(first._spec.mesh, len(pieces)))
    else:
        whole = _join_plain(name, pieces, expected)
    if tuple(whole.shape) != tuple(expected):
        raise AzrError(
            f"the shards of {name} join to the shape {tuple(whole.shape)}, but the model's is {tuple(expected)}",
            "give the configuration of the model that was trained, and all of its shards",
        )
    return whole


def _local(piece: Tensor) -> Tensor:
    local = piece._local_tensor if isinstance(piece, DTensor) else piece
    assert isinstance(local, Tensor)
    return local


def mesh_ranks(mesh: Any, count: int) -> npt.NDArray[np.int64]:
    """The ranks that hold the tensor, laid out as its mesh is.

    Older versions keep the mesh as a tensor, newer ones as sizes and strides into the list of ranks.
    """
    state: Mapping[str, Any] = mesh.__dict__
    for key in ("mesh", "_mesh"):
        if isinstance(state.get(key), Tensor):
            return np.asarray(state[key].numpy(), dtype=np.int64)
    layout = state.get("_layout")
    if layout is None:
        return np.arange(count)
    places: npt.NDArray[np.int64] = np.zeros((), dtype=np.int64)
    for sizes, strides in _axes(layout.__dict__):
        outer = places.shape
        for size, stride in zip(sizes, strides, strict=True):
            places = places[..., None] + np.arange(size) * stride
        places = places.reshape(*outer, -1)
    return np.asarray(state["_rank_map"].numpy()[places], dtype=np.int64)


def _axes(layout: Mapping[str, Any]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Sizes and strides of each mesh dimension."""
    if "axes" in layout:
        return [(_flat(axis.__dict__["shape"]), _flat(axis.__dict__["stride"])) for axis in layout["axes"]]
    pairs = zip(layout["shape"], layout["stride"], strict=True)
    return [(_flat(size), _flat(stride)) for size, stride in pairs]


def _flat(value: Any) -> tuple[int, ...]:
    """Numbers of a layout's axis: one, or several when dimensions of a mesh were merged into it."""
    if isinstance(value, int):
        return (value,)
    return tuple(number for part in value for number in _flat(part))


def _join_mesh(
    name: str, local: Mapping[int, Tensor], placements: Sequence[Any], ranks: npt.NDArray[np.int64]
) -> Tensor:
    if ranks.ndim != len(placements):
        raise AzrError(f"{name} is placed on {len(placements)} dimensions of a mesh of {ranks.ndim}", "")
    if ranks.ndim == 0:
        if int(ranks) not in local:
            raise AzrError(f"{name} wants the shard of rank {int(ranks)}, which is missing", "give all shards")
        return local[int(ranks)]
    placement, inner = placements[0], placements[1:]
    if isinstance(placement, Replicated):
        return _join_mesh(name, local, inner, ranks[0])
    if not isinstance(placement, Sharded):
        raise AzrError(
            f"{name} is placed in a way that shards of it cannot be joined ({type(placement).__name__.lower()})",
            "checkpoints of FSDP alone can be imported; write it anew without tensor parallelism",
        )
    return torch.cat([_join_mesh(name, local, inner, row) for row in ranks], dim=placement.along)


def _join_plain(name: str, pieces: Sequence[Tensor], expected: Sequence[int]) -> Tensor:
    """Plain tensors say nothing of how they were cut: whole on every rank, or cut along the one dimension that fits."""
    shape = tuple(expected)
    if tuple(pieces[0].shape) == shape:
        return pieces[0]
    for dim in range(len(shape)):
        same_rest = all(
            len(piece.shape) == len(shape)
            and piece.shape[:dim] + piece.shape[dim + 1 :] == shape[:dim] + shape[dim + 1 :]
            for piece in pieces
        )
        if same_rest and sum(piece.shape[dim] for piece in pieces) == shape[dim]:
            return torch.cat(list(pieces), dim=dim)
    if all(piece.ndim == 1 for piece in pieces) and sum(piece.numel() for piece in pieces) >= math.prod(shape):
        return torch.cat(list(pieces))[: math.prod(shape)].reshape(shape)
    raise AzrError(
        f"{name} has the shape {shape} in the model, and no way of joining shards of {tuple(pieces[0].shape)} gives it",
        "give the configuration of the model that was trained, and all of its shards",
    )
