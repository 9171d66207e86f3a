"""Packed attention with torch's scaled_dot_product_attention: the reference, and what CPUs use.

Sequences of alike lengths are padded into one batch, because a call for each costs more than some wasted products.
Causality hides the padding, which follows the tokens that count.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from learner.attention.base import PackedRows

#: Sequences are padded with those of the same bucket; a bucket's lengths lie between one power of two and the next, so
#: that less than half of it is padding.
_SHORTEST_BUCKET = 16


class Sdpa:
    """Runs anywhere, in any dtype; slow on a GPU beside kernels made for packed rows."""

    name = "sdpa"

    def unavailable(self) -> str | None:
        """Always available."""
        return None

    def attend(self, query: Tensor, key: Tensor, value: Tensor, rows: PackedRows, scale: float) -> Tensor:
        """One call for each bucket of lengths."""
        output = torch.zeros_like(query)
        for starts, lengths in _buckets(rows.cumulative.tolist()):
            longest = max(lengths)
            offsets = torch.arange(longest)
            real = offsets < torch.tensor(lengths)[:, None]
            # Places beyond an end repeat the first token: causality hides them, and they are not written back.
            places = (torch.tensor(starts)[:, None] + offsets * real).to(query.device)
            attended = _attend(query[places], key[places], value[places], scale)
            real = real.to(query.device)
            output = output.index_put((places[real],), attended[real])
        return output


def _buckets(bounds: list[int]) -> list[tuple[list[int], list[int]]]:
    """Starts and lengths of the sequences, by bucket."""
    found: dict[int, tuple[list[int], list[int]]] = {}
    for start, end in pairwise(bounds):
        if end > start:
            starts, lengths = found.setdefault(max(_SHORTEST_BUCKET, end - start - 1).bit_length(), ([], []))
            starts.append(start)
            lengths.append(end - start)
    return list(found.values())


def _attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Causal attention over [batch, tokens, heads, width]."""
    q, k, v = (tensor.transpose(1, 2) for tensor in (query, key, value))
    grouped = q.shape[1] != k.shape[1]
    return scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale, enable_gqa=grouped).transpose(1, 2)
