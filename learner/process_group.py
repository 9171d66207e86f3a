"""A process group of one, so that one rank without Ray runs the same sharded code as many.

FSDP2 is also what keeps fp32 master weights under bf16 compute: without a group a GPU would compute in fp32, slowly,
and flash attention not at all. Called by `azr sft` and the learner's benchmark; under Ray Train the group is Ray's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

#: What gradients are summed up by where they may lie in host memory (`learner.cpu_offload`) though a GPU computes them:
#: nccl sums up on GPUs alone, and the norm for clipping is summed up where the gradients are.
HOST_AND_GPU = "cpu:gloo,cuda:nccl"


@contextmanager
def group_of_one(device: torch.device) -> Iterator[None]:
    """A process group with this process alone in it, unless it is in one already. Needs no network address."""
    if dist.is_initialized():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device.index or 0)
    backend, store = (HOST_AND_GPU if device.type == "cuda" else "gloo"), dist.HashStore()  # type: ignore[attr-defined]
    dist.init_process_group(backend, store=store, rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()
