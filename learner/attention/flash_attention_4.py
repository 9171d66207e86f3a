"""FlashAttention 4, kernels compiled at first use for Hopper and Blackwell, as `flash_attn.cute` offers them."""

from __future__ import annotations

from torch import Tensor

from learner.attention.base import PackedRows, kernel_reason


class FlashAttention4:
    """flash_attn.cute.flash_attn_varlen_func; half precision only."""

    name = "flash_attention_4"

    def unavailable(self) -> str | None:
        """Needs the package flash-attn-4 and a Hopper device."""
        return kernel_reason("flash_attn.cute", "flash_attn_varlen_func", "the package flash-attn-4", (9, 0))

    def attend(self, query: Tensor, key: Tensor, value: Tensor, rows: PackedRows, scale: float) -> Tensor:
        """One kernel for all segments; returns the output and, in some releases, the normaliser."""
        from flash_attn.cute import flash_attn_varlen_func

        output: Tensor | tuple[Tensor, ...] = flash_attn_varlen_func(
            query,
            rows.seen(key),
            rows.seen(value),
            cu_seqlens_q=rows.cumulative,
            cu_seqlens_k=rows.cumulative_keys,
            max_seqlen_q=rows.longest,
            max_seqlen_k=rows.longest_keys,
            softmax_scale=scale,
            causal=True,
        )
        return output[0] if isinstance(output, tuple) else output
