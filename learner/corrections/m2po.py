"""M2PO: mask the most extreme tokens until the second moment of the log-ratio is within a budget.

Where data is very stale a fixed band would drop most of it; a budget on E[(log ρ)²] over the batch drops only the few
tokens that make the variance. The threshold is one number for the step's whole batch, found before it is cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from azr.config.sections.algorithm import LossConfig
from learner.corrections.base import Factor, Ratios
from learner.losses.base import share_of


@dataclass(frozen=True)
class M2po:
    """Keep the tokens with the smallest (log ρ)² whose mean is within `budget`."""

    budget: float = 0.04

    @classmethod
    def of(cls, config: LossConfig) -> M2po:
        """As configured."""
        return cls(config.m2po_limit)

    def __call__(self, ratios: Ratios) -> Factor:
        """1 for kept tokens, else 0."""
        squares = ratios.log_ratio.square()
        kept = squares <= second_moment_threshold(ratios.gather(squares), self.budget)
        return Factor(kept.to(squares.dtype), {"m2po_masked_fraction": share_of(~kept)})


def second_moment_threshold(squares: Tensor, budget: float) -> Tensor:
    """The largest value such that the mean of all values up to it is within the budget; -1 if even the smallest is not.

    Running means of sorted values never fall, so the kept set is a prefix of the sorted order; values equal to the
    threshold stay or go together, which keeps the result independent of the order of tokens.
    """
    if squares.numel() == 0:
        return squares.new_tensor(-1.0)
    ordered, _ = torch.sort(squares.double())
    positions = torch.arange(1, ordered.numel() + 1, device=ordered.device)
    within = ordered.cumsum(0) / positions <= budget
    last_of_ties = torch.ones_like(within)
    last_of_ties[:-1] = ordered[1:] != ordered[:-1]
    candidates = (within & last_of_ties).nonzero()
    if candidates.numel() == 0:
        return squares.new_tensor(-1.0)
    return ordered[candidates[-1, 0]].to(squares.dtype)
