"""FlashAttention 3, the Hopper kernels, as the module `flash_attn_interface` offers them."""

from __future__ import annotations

from torch import Tensor

from learner.attention.base import PackedRows, kernel_reason, newer_reason


class FlashAttention3:
    """flash_attn_interface.flash_attn_varlen_func; Hopper and half precision only."""

    name = "flash_attention_3"

    def unavailable(self) -> str | None:
        """Needs the module, which is built from flash-attn's `hopper` folder, and a Hopper device: a Blackwell has no
        such instructions, and the module is imported there all the same."""
        needed = "the module flash_attn_interface (flash-attn's hopper build)"
        return newer_reason(9) or kernel_reason("flash_attn_interface", "flash_attn_varlen_func", needed, (9, 0))

    def attend(self, query: Tensor, key: Tensor, value: Tensor, rows: PackedRows, scale: float) -> Tensor:
        """One kernel for all segments; some releases return the normaliser as well."""
        from flash_attn_interface import flash_attn_varlen_func

        output: Tensor | tuple[Tensor, ...] = flash_attn_varlen_func(
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
        return output[0] if isinstance(output, tuple) else output
