"""FlashAttention 4, kernels compiled at first use for Hopper and Blackwell, as `flash_attn.cute` offers them.

The package's public function is a plain autograd function, in which torch.compile would look for something to compile:
a compiled layer would break in two around it, and a checkpointed one not compile at all. So its two kernels are told to
torch as operators here.

    attend ──► azr::flash_attention_4 (output, normaliser) ──backward──► azr::flash_attention_4_backward
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from learner.attention.base import PackedRows, kernel_reason

#: Where both kernels are; the public function would bring its own autograd along.
_MODULE = "flash_attn.cute.interface"


class FlashAttention4:
    """The kernels of flash_attn.cute for packed rows; half precision only."""

    name = "flash_attention_4"

    def unavailable(self) -> str | None:
        """Needs the package flash-attn-4 and a Hopper device."""
        needed = "the package flash-attn-4"
        forward = kernel_reason(_MODULE, "_flash_attn_fwd", needed, (9, 0))
        return forward or kernel_reason(_MODULE, "_flash_attn_bwd", needed, (9, 0))

    def attend(self, query: Tensor, key: Tensor, value: Tensor, rows: PackedRows, scale: float) -> Tensor:
        """One kernel for all segments; shared key heads are native."""
        output: Tensor = _attended(
            query,
            rows.seen(key),
            rows.seen(value),
            rows.cumulative,
            rows.cumulative_keys,
            rows.longest,
            rows.longest_keys,
            scale,
        )[0]
        return output


@torch.library.custom_op("azr::flash_attention_4", mutates_args=())
def _attended(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cumulative: Tensor,
    cumulative_keys: Tensor,
    longest: int,
    longest_keys: int,
    scale: float,
) -> tuple[Tensor, Tensor]:
    """Output, and the normaliser of each head and query."""
    from flash_attn.cute.interface import _flash_attn_fwd

    found = _flash_attn_fwd(
        query.contiguous(),
        key.contiguous(),
        value.contiguous(),
        cu_seqlens_q=cumulative,
        cu_seqlens_k=cumulative_keys,
        max_seqlen_q=longest,
        max_seqlen_k=longest_keys,
        softmax_scale=scale,
        causal=True,
        return_lse=True,
    )
    return found[0], found[1]


@_attended.register_fake
def _(query: Tensor, *_rest: Any) -> tuple[Tensor, Tensor]:
    tokens, heads, _width = query.shape
    return query.new_empty(query.shape), query.new_empty((heads, tokens), dtype=torch.float32)


@torch.library.custom_op("azr::flash_attention_4_backward", mutates_args=())
def _gradients(
    slope: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    output: Tensor,
    normaliser: Tensor,
    cumulative: Tensor,
    cumulative_keys: Tensor,
    longest: int,
    longest_keys: int,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of query, key and value."""
    from flash_attn.cute.interface import _flash_attn_bwd

    found = _flash_attn_bwd(
        query.contiguous(),
        key.contiguous(),
        value.contiguous(),
        output,
        slope.contiguous(),
        normaliser,
        scale,
        True,
        cu_seqlens_q=cumulative,
        cu_seqlens_k=cumulative_keys,
        max_seqlen_q=longest,
        max_seqlen_k=longest_keys,
    )
    return found[0], found[1], found[2]


@_gradients.register_fake
def _(_slope: Tensor, query: Tensor, key: Tensor, value: Tensor, *_rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    return query.new_empty(query.shape), key.new_empty(key.shape), value.new_empty(value.shape)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    query, key, value, cumulative, cumulative_keys, *ctx.numbers = inputs
    ctx.save_for_backward(query, key, value, *output, cumulative, cumulative_keys)


def _backward(ctx: Any, slope: Tensor, _slope_of_normaliser: Tensor | None) -> tuple[Tensor | None, ...]:
    query, key, value, output, normaliser, cumulative, cumulative_keys = ctx.saved_tensors
    found = _gradients(slope, query, key, value, output, normaliser, cumulative, cumulative_keys, *ctx.numbers)
    return (*found, *[None] * 5)


_attended.register_autograd(_backward, setup_context=_keep)
