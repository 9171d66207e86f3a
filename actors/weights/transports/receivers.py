"""The receiving sides of the transports that stage weights, by name; asked inside vLLM's workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def receive(kind: str, info: dict[str, Any], device: torch.device, rank: int) -> list[tuple[str, Tensor]]:
    """The named tensors that a transport of that kind brings; blocks, and raises what went wrong."""
    if kind == "file":
        from actors.weights.transports.files import receive_file

        return receive_file(info)
    if kind == "gloo":
        from actors.weights.transports.gloo import receive_broadcast

        return receive_broadcast(info, rank)
    raise ValueError(f"nothing is received by {kind!r} (device {device})")
