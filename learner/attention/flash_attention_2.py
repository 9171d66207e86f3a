"""The `flash-attn` package, version 2: variable-length kernels for Ampere and newer."""

from __future__ import annotations

from torch import Tensor

from learner.attention.base import PackedRows, cuda_reason, distribution_present


class FlashAttention2:
    """flash_attn.flash_attn_varlen_func; half precision only."""

    name = "flash_attention_2"

    def unavailable(self) -> str | None:
        """Needs the package and an Ampere device."""
        if not distribution_present("flash_attn"):
            return "needs the package flash-attn (in the gpu extra)"
        return cuda_reason((8, 0))

    def attend(self, query: Tensor, key: Tensor, value: Tensor, rows: PackedRows, scale: float) -> Tensor:
        """One kernel for all segments; shared key heads are native."""
        from flash_attn import flash_attn_varlen_func

        output: Tensor = flash_attn_varlen_func(
            query,
            rows.seen(key),
            rows.seen(value),
            rows.cumulative,
            rows.cumulative_keys,
            rows.longest,
            rows.longest_keys,
            softmax_scale=scale,
            causal=True,
        )
        return output
