"""Sums over ranks: the few collectives that the trainer itself needs.

Owns `Ranks`, which is the process group seen as numbers to be added up. With one rank nothing is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from learner.losses.base import Share


@dataclass(frozen=True)
class Ranks:
    """Which of how many ranks this process is."""

    rank: int
    count: int
    device: torch.device

    @classmethod
    def here(cls, device: torch.device) -> Ranks:
        """This process's place in the default process group, or alone without one."""
        if not dist.is_initialized():
            return cls(0, 1, device)
        return cls(dist.get_rank(), dist.get_world_size(), device)

    def sum(self, values: Tensor) -> Tensor:
        """Elementwise sum over ranks."""
        if self.count > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def concatenate(self, values: Tensor) -> Tensor:
        """All ranks' one-dimensional tensors, of whatever lengths, one after the other."""
        if self.count == 1:
            return values
        lengths = [torch.zeros(1, dtype=torch.long, device=values.device) for _ in range(self.count)]
        dist.all_gather(lengths, torch.tensor([values.numel()], device=values.device))
        longest = int(max(int(length) for length in lengths))
        padded = torch.zeros(longest, dtype=values.dtype, device=values.device)
        padded[: values.numel()] = values
        gathered = [torch.empty_like(padded) for _ in range(self.count)]
        dist.all_gather(gathered, padded)
        return torch.cat([part[: int(length)] for part, length in zip(gathered, lengths, strict=True)])

    def means(self, shares: Mapping[str, Share]) -> dict[str, float]:
        """Each share as a number over all ranks; one that counted nothing is left out.

        Ranks may have seen different names (a rank without work sees none), so names are agreed upon first.
        """
        names = sorted(shares)
        if self.count > 1:
            gathered: list[list[str]] = [[] for _ in range(self.count)]
            dist.all_gather_object(gathered, names)
            names = sorted({name for part in gathered for name in part})
        zero = torch.zeros((), dtype=torch.float64, device=self.device)
        columns = [
            torch.stack([share.total.double(), share.count.double()]) if share else torch.stack([zero, zero])
            for share in (shares.get(name) for name in names)
        ]
        if not columns:
            return {}
        sums = self.sum(torch.stack(columns).to(self.device)).tolist()
        return {name: total / count for name, (total, count) in zip(names, sums, strict=True) if count}


class ShareSums:
    """Adds up the shares of many micro-batches under their names."""

    def __init__(self) -> None:
        self.shares: dict[str, Share] = {}

    def add(self, metrics: Mapping[str, Share], prefix: str = "") -> None:
        """Add a micro-batch's metrics."""
        for key, share in metrics.items():
            name = prefix + key
            total, count = share.total.double(), share.count.double()
            if name in self.shares:
                total, count = self.shares[name].total + total, self.shares[name].count + count
            self.shares[name] = Share(total, count)
