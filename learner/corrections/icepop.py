"""IcePop: the ratio inside a band, nothing outside it.

A ratio far from 1 on either side means that engine and learner disagree about the token: it is masked, not clamped,
because a clamped wrong number is still wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

from azr.config.sections.algorithm import LossConfig
from learner.corrections.base import Factor, Ratios
from learner.losses.base import mean_of, share_of


@dataclass(frozen=True)
class IcePop:
    """w_t = ρ_t where low ≤ ρ_t ≤ high, else 0."""

    low: float = 0.5
    high: float = 5.0

    @classmethod
    def of(cls, config: LossConfig) -> IcePop:
        """As configured."""
        return cls(config.icepop_low, config.icepop_high)

    def __call__(self, ratios: Ratios) -> Factor:
        """The banded ratio of each token."""
        ratio = ratios.log_ratio.exp()
        inside = (ratio >= self.low) & (ratio <= self.high)
        weight = ratio * inside
        return Factor(weight, {"weight": mean_of(weight), "icepop_masked_fraction": share_of(~inside)})
