"""torch's own variable-length attention (the FlashAttention 2 kernels that come with torch): nothing to install."""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor

from learner.attention.base import PackedRows, kernel_reason


class TorchVarlen:
    """torch.nn.attention.varlen.varlen_attn, from torch 2.11 on."""

    name = "torch_varlen"

    def unavailable(self) -> str | None:
        """Needs the module (torch 2.11) and an Ampere device."""
        return kernel_reason("torch.nn.attention.varlen", "varlen_attn", "torch 2.11 or newer", (8, 0))

    def attend(self, query: Tensor, key: Tensor, value: Tensor, rows: PackedRows, scale: float) -> Tensor:
        """One kernel for all segments; heads of keys are repeated where this torch cannot share them."""
        from torch.nn.attention.varlen import varlen_attn

        options: dict[str, Any] = {"scale": scale}
        accepted = inspect.signature(varlen_attn).parameters
        if "window_size" in accepted:
            options["window_size"] = (-1, 0)  # causal
        else:
            options["is_causal"] = True
        if query.shape[1] != key.shape[1]:
            if "enable_gqa" in accepted:
                options["enable_gqa"] = True
            else:
                repeats = query.shape[1] // key.shape[1]
                key = key.repeat_interleave(repeats, dim=1)
                value = value.repeat_interleave(repeats, dim=1)
        output = varlen_attn(
            query,
            rows.seen(key),
            rows.seen(value),
            rows.cumulative,
            rows.cumulative_keys,
            rows.longest,
            rows.longest_keys,
            **options,
        )
        return output if isinstance(output, Tensor) else output[0]
