"""`ipc`: learner and engine on the same GPU; the engine maps the learner's tensors, by vLLM's own engine for it.

The handles travel pickled (CUDA's have no other form), in an order that the learner wrote; the engine's process takes
them because `VLLM_ALLOW_INSECURE_SERIALIZATION` says so (`EngineSettings.environment`). Nothing that came from outside
the run ever goes that way.

For one learner rank alone. vLLM's sender means to be called on all of them, and meets them in the default process
group; here rank 0 calls it, in a thread, so its collectives would answer those of the others' training step.
"""

from __future__ import annotations

import base64
import pickle
from typing import Any

from actors.weights.transports.base import Fleet
from actors.weights.transports.native import NativeTransport, OrderingClient
from azr.errors import AzrError


class PicklingClient(OrderingClient):
    """Handles in a form that an order can carry."""

    def update_weights(self, update_info: dict[str, Any] | list[dict[str, Any]]) -> None:
        """All map what the handles stand for and copy it into place."""
        if not isinstance(update_info, dict):
            raise TypeError("weights that differ from rank to rank are not sent by the transports of this project")
        handles = update_info.pop("ipc_handles", None)
        update_info["ipc_handles_pickled"] = base64.b64encode(pickle.dumps(handles)).decode()
        super().update_weights(update_info)


class CudaIpc(NativeTransport):
    """The sender's side, on the learner's rank 0 and the GPU it shares with the engines."""

    def _make_client(self, fleet: Fleet) -> OrderingClient:
        return PicklingClient(fleet)

    def _make_sender(self, client: OrderingClient, _fleet: Fleet) -> Any:
        """There is no group to form: the replicas only learn in which form the handles come."""
        import torch

        if torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
            raise AzrError("ipc serves one learner rank, and there are more", "use weights.transport: shm or nccl")

        from vllm.distributed.weight_transfer.factory import WeightTransferTrainerFactory
        from vllm.distributed.weight_transfer.ipc_engine import IPCTrainerInitInfo

        return WeightTransferTrainerFactory.trainer_init(
            IPCTrainerInitInfo(rank=0), client=client, source=self._source()
        )
