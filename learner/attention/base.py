"""What every attention back end offers, and how transformers' models come to call it.

Owns the `AttentionBackend` protocol. The packed row is one batch entry; segments follow each other in it
(`learner.layout`). A segment sees itself and, where it continues a prompt that others continue too, that prompt. Called
through transformers' attention interface, under the name that `registry.install` registers:

    model layer ──► transformers ──► packed_attention(module, q, k, v, cu_seq_lens_q=…)
                                        └──► backend.attend(q, k, v: [tokens, heads, width])
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class PackedRows:
    """Where each segment lies in a packed row, and what it sees."""

    cumulative: Tensor
    """int32 [segments + 1]: 0 and the running sums of the lengths."""
    longest: int
    """At least the longest segment's length."""
    cumulative_keys: Tensor
    """The same of what the segments see."""
    longest_keys: int
    key_places: Tensor | None = None
    """int64: the places of all segments' keys in the row, one after the other; None where each sees itself alone."""

    @classmethod
    def alone(cls, cumulative: Tensor, longest: int) -> PackedRows:
        """Segments that see themselves only."""
        return cls(cumulative, longest, cumulative, longest)

    def seen(self, tensor: Tensor) -> Tensor:
        """Keys or values of a row, [tokens, …], as all segments see them, one after the other."""
        return tensor if self.key_places is None else tensor.index_select(0, self.key_places)


class AttentionBackend(Protocol):
    """Causal attention of each segment to what it sees; keys may have fewer heads than queries (GQA).

    Causality counts from the end: a segment's last query sees all its keys, the one before all but the last.
    """

    name: str

    def unavailable(self) -> str | None:
        """Why this back end cannot run on this machine, or None if it can. Imports nothing that has no device here."""
        ...

    def attend(self, query: Tensor, key: Tensor, value: Tensor, rows: PackedRows, scale: float) -> Tensor:
        """Attention output [tokens, query heads, width].

        query, key, value: [tokens, heads, width].
        """
        ...


def kernel_reason(module: str, function: str, needed: str, minimum_capability: tuple[int, int]) -> str | None:
    """Why a module's function for CUDA cannot run here, or None; `needed` says in words what brings the module.

    The device is asked first. Only where it would do is the module imported: a build against another torch lies there
    like any other and fails as it is loaded, and a package of this name may hold other kernels.
    """
    if (reason := cuda_reason(minimum_capability)) is not None:
        return reason
    try:
        getattr(import_module(module), function)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}."):
            return f"needs {needed}"
        return f"needs {needed}; the one here fails with {type(error).__name__}: {' '.join(str(error).split())}"
    return None


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


def newer_reason(major: int) -> str | None:
    """Why a CUDA kernel for one generation of devices cannot run here, or None: what is here is of a later one."""
    if torch.cuda.is_available() and (device := torch.cuda.get_device_capability())[0] > major:
        return f"needs compute capability {major}.x, the device has {device[0]}.{device[1]}"
    return None
