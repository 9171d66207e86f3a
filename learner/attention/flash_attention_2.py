"""The `flash-attn` package, version 2: variable-length kernels for Ampere and newer."""

from __future__ import annotations

from torch import Tensor

from learner.attention.base import PackedRows, kernel_reason


class FlashAttention2:
    """flash_attn.flash_attn_varlen_func; half precision only."""

    name = "flash_attention_2"

    def unavailable(self) -> str | None:
        """Needs an Ampere device and the package; flash-attn-4 alone has a `flash_attn` too, without these kernels."""
        needed = "the package flash-attn (in the gpu extra)"
        return kernel_reason("flash_attn.flash_attn_interface", "flash_attn_varlen_func", needed, (8, 0))

    def attend(self, query: Tensor, key: Tensor, value: Tensor, rows: PackedRows, scale: float) -> Tensor:
        """One kernel for all segments; shared key heads are native."""
        from flash_attn.flash_attn_interface import flash_attn_varlen_func

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
