"""Attention sequence by sequence with torch's scaled_dot_product_attention: the reference, and what CPUs use."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from learner.attention.base import PackedRows


class Sdpa:
    """Runs anywhere, in any dtype; slow on a GPU with many short sequences, one kernel each."""

    name = "sdpa"

    def unavailable(self) -> str | None:
        """Always available."""
        return None

    def attend(self, query: Tensor, key: Tensor, value: Tensor, rows: PackedRows, scale: float) -> Tensor:
        """Each sequence by itself."""
        grouped = query.shape[1] != key.shape[1]

        def alone(start: int, end: int) -> Tensor:
            heads_first = [tensor[start:end].transpose(0, 1).unsqueeze(0) for tensor in (query, key, value)]
            output = scaled_dot_product_attention(
                heads_first[0], heads_first[1], heads_first[2], is_causal=True, scale=scale, enable_gqa=grouped
            )
            return output.squeeze(0).transpose(0, 1)

        bounds: list[int] = rows.cumulative.tolist()
        outputs = [alone(start, end) for start, end in pairwise(bounds) if end > start]
        return torch.cat(outputs) if outputs else torch.empty_like(query)
