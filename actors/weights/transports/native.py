"""What the transports of vLLM's own have in common: its sender drives the exchange, and our orders are its client.

vLLM's trainer-side engine calls four methods of a client and moves the bytes itself meanwhile. Here those calls become
orders to all replicas, each with its own rank offset; a replica then pauses, receives right into its model, labels
the version and goes on (`Engine.native_update`), so that `start` and `finish` have nothing left to do.

The weights on their way are not staged: a sender that dies in the middle leaves torn engines, which put the version's
file from the registry in place of them, or are replaced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from actors.weights.records import Order
from actors.weights.transports.base import Engines, Fleet, engines_of, ranks_of
from azr.game.types import Version

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class OrderingClient:
    """vLLM's `VLLMWeightSyncClient`, spoken to by its sender; each call is an order that all replicas carry out."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.version = Version(0, 0)
        self.checksum = ""
        self.number = 0
        """Of the order that carried the weights."""

    def init_weight_transfer_engine(self, init_info: dict[str, Any]) -> None:
        """All join the group, each at its own ranks: the sender says 1 to everybody."""
        ranks, _ = ranks_of(self.fleet.members)
        details: dict[str, dict[str, Any]] = {
            name: {"rank_offset": rank} if "rank_offset" in init_info else {} for name, rank in ranks.items()
        }
        order = Order(number=0, action="native_init", version=self.version, info=init_info, details=details)
        self.fleet.carried_out(self.fleet.give(order))

    def start_weight_update(self) -> None:
        """Part of `update_weights`."""

    def update_weights(self, update_info: dict[str, Any] | list[dict[str, Any]]) -> None:
        """All receive what is being sent and put it in place."""
        if not isinstance(update_info, dict):
            raise TypeError("weights that differ from rank to rank are not sent by the transports of this project")
        order = Order(
            number=0,
            action="native_update",
            version=self.version,
            checksum=self.checksum,
            info=update_info,
            details={member.name: {} for member in self.fleet.members},
        )
        self.number = self.fleet.give(order)
        self.fleet.carried_out(self.number)

    def finish_weight_update(self, weight_version: str | None = None) -> None:
        """Part of `update_weights`."""


class NativeTransport:
    """A transport whose sender is vLLM's. Subclasses say how it is made."""

    def __init__(self) -> None:
        self._engines: Engines = ()
        self._sender: Any = None
        self._client: OrderingClient | None = None
        self._tensors: Mapping[str, Tensor] = {}
        self._stream: Any = None

    def carry(self, version: Version, checksum: str, tensors: Mapping[str, Tensor], fleet: Fleet) -> int:
        """Form the group if the engines are others than before, and send."""
        if not fleet.members:
            return fleet.give(Order(number=0, action="file", version=version, checksum=checksum))
        engines = engines_of(fleet.members)
        try:
            if self._sender is None or self._client is None or engines != self._engines:
                self.close()
                self._tensors = tensors
                self._client = self._make_client(fleet)
                self._sender = self._make_sender(self._client, fleet)
                self._engines = engines
            self._tensors = tensors
            self._client.fleet, self._client.version, self._client.checksum = fleet, version, checksum
            with self._own_stream():
                self._sender.send_weights()
        except Exception:
            self.close()
            raise
        return self._client.number

    def close(self) -> None:
        """Leave the group; the next version forms another."""
        sender, self._sender = self._sender, None
        self._client, self._engines = None, ()
        if sender is not None:
            sender.shutdown()

    def _own_stream(self) -> AbstractContextManager[Any]:
        """A CUDA stream beside the training's. On the default one every copy would wait for the kernels of the step,
        and the next ones for a broadcast, which waits for engines, one of which may just have died."""
        import torch

        if not torch.cuda.is_available():
            return nullcontext()
        if self._stream is None:
            self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        return torch.cuda.stream(self._stream)

    def _make_client(self, fleet: Fleet) -> OrderingClient:
        return OrderingClient(fleet)

    def _make_sender(self, client: OrderingClient, _fleet: Fleet) -> Any:
        """vLLM's sending engine, its group formed."""
        raise NotImplementedError

    def _source(self) -> Any:
        """The weights as vLLM's sender takes them: on the GPU, one tensor at a time."""
        return device_source(lambda: self._tensors)


def device_source(tensors: Any) -> Any:
    """A `WeightSource` over what `tensors()` gives at the time of sending. Made by a function because the class it
    derives from comes with vLLM's import."""
    import torch
    from vllm.distributed.weight_transfer.base import ParamMeta, WeightSource

    class DeviceSource(WeightSource):  # type: ignore[misc]
        """Weights that lie on the host, brought to the GPU one by one."""

        def metadata(self) -> list[Any]:
            """Names, dtypes and shapes of what iteration yields."""
            return [ParamMeta(name, tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors().items()]

        def __iter__(self) -> Iterator[tuple[str, torch.Tensor]]:
            device = torch.accelerator.current_accelerator() or torch.device("cpu")
            for name, tensor in tensors().items():
                yield name, tensor.to(device)

    return DeviceSource()
