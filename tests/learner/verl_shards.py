"""Shards as verl writes them, made in one process: PyTorch's fake process group lets it be each rank in turn."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Placement, Replicate, Shard
from torch.testing._internal.distributed.fake_pg import FakeStore
from transformers import AutoModelForCausalLM

#: (name, tensor) -> the tensor's dimension to cut, or None to leave it whole.
Cut = Callable[[str, Tensor], int | None]


@contextmanager
def being_rank(rank: int, count: int) -> Iterator[None]:
    dist.init_process_group("fake", rank=rank, world_size=count, store=FakeStore())
    try:
        yield
    finally:
        dist.destroy_process_group()


def path_of(folder: Path, rank: int, count: int) -> Path:
    return folder / f"model_world_size_{count}_rank_{rank}.pt"


def write_shards(folder: Path, weights: Mapping[str, Tensor], sizes: tuple[int, ...], cut: Cut) -> None:
    """Shards over a mesh; with two dimensions the first repeats, the second shards, as verl's hybrid mesh does."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 1
    for size in sizes:
        count *= size
    for rank in range(count):
        with being_rank(rank, count):
            mesh = init_device_mesh("cpu", sizes, mesh_dim_names=("ddp", "fsdp")[-len(sizes) :])
            state = {name: shard(value, mesh, cut(name, value)) for name, value in weights.items()}
            torch.save(state, path_of(folder, rank, count))


def shard(value: Tensor, mesh: DeviceMesh, dim: int | None) -> DTensor:
    place = mesh.get_coordinate()
    assert place is not None
    placements: list[Placement] = [Replicate() for _ in range(mesh.ndim)]
    local = value
    if dim is not None:
        placements[-1] = Shard(dim)
        pieces = value.chunk(mesh.size(mesh.ndim - 1), dim)
        empty = value.narrow(dim, 0, 0)
        local = pieces[place[-1]] if place[-1] < len(pieces) else empty
    return DTensor.from_local(
        local.clone(), mesh, placements, run_check=False, shape=value.shape, stride=value.stride()
    )


def write_fsdp2_shards(folder: Path, model: Path, count: int) -> None:
    """What PyTorch's own `fully_shard` makes of the model on each rank."""
    folder.mkdir(parents=True, exist_ok=True)
    for rank in range(count):
        with being_rank(rank, count):
            module = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
            mesh = init_device_mesh("cpu", (count,), mesh_dim_names=("fsdp",))
            for layer in module.model.layers:
                fully_shard(layer, mesh=mesh)
            fully_shard(module, mesh=mesh)
            torch.save(module.state_dict(), path_of(folder, rank, count))


def older_mesh(patch: pytest.MonkeyPatch) -> None:
    """Pickle a mesh as PyTorch did up to 2.8: ranks as a tensor, no layout."""

    def state(mesh: DeviceMesh) -> dict[str, Any]:
        return {"device_type": "cpu", "mesh": mesh.mesh, "mesh_dim_names": ("fsdp",), "_flatten_mesh_list": (0, 1)}

    patch.setattr(DeviceMesh, "__getstate__", state)


def with_older_names(path: Path) -> None:
    """Rewrite a shard as if PyTorch 2.4 had made it, which had these classes in other modules."""
    current, older = b"torch.distributed.tensor", b"torch.distributed._tensor"
    renamed = {
        current + b"\nDTensor\n": older + b".api\nDTensor\n",
        current + b"._dtensor_spec\nDTensorSpec\n": older + b".placement_types\nDTensorSpec\n",
        current + b"._dtensor_spec\nTensorMeta\n": older + b".placement_types\nTensorMeta\n",
        current + b".placement_types\n": older + b".placement_types\n",
    }
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    [pickled] = [name for name in content if name.endswith("data.pkl")]
    for new, old in renamed.items():
        content[pickled] = content[pickled].replace(new, old)
    writer = torch._C.PyTorchFileWriter(str(path))
    for name, data in content.items():
        inner = name.partition("/")[2]
        if inner not in ("version", ".data/serialization_id"):
            writer.write_record(inner, data, len(data))
    writer.write_end_of_file()
