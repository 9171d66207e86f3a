"""Geometric mask: drop a sequence whose geometric mean ratio leaves a narrow band.

(Π ρ)^(1/T) does not grow with length as the product does, so that one band serves long and short responses.
It judges a sequence's age together with the gap between engine and learner: a narrow band drops what is old.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from azr.config.sections.algorithm import LossConfig
from learner.corrections.base import Factor, Ratios, per_sequence_mean
from learner.losses.base import share_of


@dataclass(frozen=True)
class GeometricMask:
    """Keep a sequence if low ≤ exp(mean_t log ρ_t) ≤ high."""

    low: float = 0.99
    high: float = 1.01

    @classmethod
    def of(cls, config: LossConfig) -> GeometricMask:
        """As configured."""
        return cls(config.geometric_low, config.geometric_high)

    def __call__(self, ratios: Ratios) -> Factor:
        """1 for tokens of kept sequences, else 0."""
        mean = per_sequence_mean(ratios.log_ratio, ratios)
        kept = ((mean >= math.log(self.low)) & (mean <= math.log(self.high)))[ratios.sequence]
        return Factor(kept.to(mean.dtype), {"geometric_masked_fraction": share_of(~kept)})
