"""What every attention back end offers, and how transformers' models come to call it.

Owns the `AttentionBackend` protocol. The packed row is one batch entry; sequences follow each other in it and see only
themselves. Called through transformers' attention interface, under the name that `registry.install` registers:

    model layer ──► transformers ──► packed_attention(module, q, k, v, cu_seq_lens_q=…)
                                        └──► backend.attend(q, k, v: [tokens, heads, width])
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class PackedRows:
    """Where each sequence lies in a packed row."""

    cumulative: Tensor
    """int32 [sequences + 1]: 0 and the running sums of the lengths."""
    longest: int
    """At least the longest sequence's length."""


class AttentionBackend(Protocol):
    """Causal self-attention within each packed sequence; keys may have fewer heads than queries (GQA)."""

    name: str

    def unavailable(self) -> str | None:
        """Why this back end cannot run on this machine, or None if it can. Imports nothing heavy."""
        ...

    def attend(self, query: Tensor, key: Tensor, value: Tensor, rows: PackedRows, scale: float) -> Tensor:
        """Attention output [tokens, query heads, width].

        query, key, value: [tokens, heads, width].
        """
        ...


def distribution_present(module: str) -> bool:
    """Whether a top-level module could be imported, without importing it."""
    return find_spec(module) is not None


def cuda_reason(minimum_capability: tuple[int, int]) -> str | None:
    """Why a CUDA kernel for devices from `minimum_capability` on cannot run here, or None."""
    if not torch.cuda.is_available():
        return "needs a CUDA device"
    if torch.cuda.get_device_capability() < minimum_capability:
        major, minor = torch.cuda.get_device_capability()
        return (
            f"needs compute capability {minimum_capability[0]}.{minimum_capability[1]}, the device has {major}.{minor}"
        )
    return None
