"""Packed attention with torch's scaled_dot_product_attention: the reference, and what CPUs use.

Segments of alike lengths are padded into one batch, because a call for each costs more than some wasted products.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from learner.attention.base import PackedRows

#: Segments are padded with those of the same bucket; a bucket's lengths lie between one power of two and the next, so
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
        device = query.device
        for bucket in _buckets(rows.cumulative.tolist(), rows.cumulative_keys.tolist()):
            starts, lengths, key_starts, key_lengths = torch.tensor(bucket).unbind(dim=1)
            offsets, key_offsets = torch.arange(int(lengths.max())), torch.arange(int(key_lengths.max()))
            real, key_real = offsets < lengths[:, None], key_offsets < key_lengths[:, None]
            # Places beyond an end repeat the first token: no real query sees them, and they are not written back.
            places = (starts[:, None] + offsets * real).to(device)
            key_places = (key_starts[:, None] + key_offsets * key_real).to(device)
            if rows.key_places is not None:
                key_places = rows.key_places[key_places]
            # The last query sees all keys of its segment, the one before all but the last.
            visible = key_offsets <= offsets[:, None] + (key_lengths - lengths)[:, None, None]
            plain = bool((lengths == key_lengths).all())
            attended = _attend(query[places], key[key_places], value[key_places], None if plain else visible, scale)
            output = output.index_put((places[real.to(device)],), attended[real.to(device)])
        return output


def _buckets(bounds: list[int], key_bounds: list[int]) -> list[list[tuple[int, int, int, int]]]:
    """Start and length of each segment and of its keys, by bucket of both lengths."""
    found: dict[tuple[int, int], list[tuple[int, int, int, int]]] = {}
    for (start, end), (key_start, key_end) in zip(pairwise(bounds), pairwise(key_bounds), strict=True):
        if end > start:
            own = (start, end - start, key_start, key_end - key_start)
            found.setdefault((_bucket(own[1]), _bucket(own[3])), []).append(own)
    return list(found.values())


def _bucket(length: int) -> int:
    return max(_SHORTEST_BUCKET, length - 1).bit_length()


def _attend(query: Tensor, key: Tensor, value: Tensor, visible: Tensor | None, scale: float) -> Tensor:
    """Attention over [batch, tokens, heads, width], causal where it is not said what is visible."""
    q, k, v = (tensor.transpose(1, 2) for tensor in (query, key, value))
    mask = None if visible is None else visible[:, None].to(query.device)
    grouped = q.shape[1] != k.shape[1]
    attended = scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=mask is None, scale=scale, enable_gqa=grouped
    )
    return attended.transpose(1, 2)
