"""`nccl`: weights broadcast between GPUs, by vLLM's own engine for it, tensor by tensor.

Not packed, as vLLM would have it: it packs into two buffers of a GiB each and joins their parts on the GPU, some 3 GiB
beside the next step of a learner that has a few to spare. `azr.memory_plan.learner` counts what this takes. What some
hundred broadcasts cost against a few packed ones has not been measured: no machine with two GPUs was at hand.
"""

from __future__ import annotations

import socket
from typing import Any

from actors.weights.registry import own_address
from actors.weights.transports.base import Fleet, ranks_of
from actors.weights.transports.native import NativeTransport, OrderingClient


class NcclBroadcast(NativeTransport):
    """The sender's side, on the learner's rank 0 and its GPU."""

    def __init__(self, address: str = "") -> None:
        super().__init__()
        self._address = address or own_address()

    def _make_sender(self, client: OrderingClient, _fleet: Fleet) -> Any:
        """Meets the replicas' workers at a free port of this machine; blocks until all are there."""
        from vllm.distributed.weight_transfer.factory import WeightTransferTrainerFactory
        from vllm.distributed.weight_transfer.nccl_engine import NCCLTrainerInitInfo

        _, size = ranks_of(_fleet.members)
        info = NCCLTrainerInitInfo(
            rank=0,
            master_address=self._address,
            master_port=_free_port(self._address),
            world_size=size,
            packed=False,
        )
        return WeightTransferTrainerFactory.trainer_init(info, client=client, source=self._source())


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])
