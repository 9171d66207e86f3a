"""Token-level truncated importance sampling: min(ρ_t, C). Low variance, a little bias; the default."""

from __future__ import annotations

from dataclasses import dataclass

from azr.config.sections.algorithm import LossConfig
from learner.corrections.base import Factor, Ratios
from learner.losses.base import mean_of, share_of


@dataclass(frozen=True)
class TokenTis:
    """w_t = min(ρ_t, cap)."""

    cap: float = 2.0

    @classmethod
    def of(cls, config: LossConfig) -> TokenTis:
        """As configured."""
        return cls(config.tis_cap)

    def __call__(self, ratios: Ratios) -> Factor:
        """The truncated ratio of each token."""
        ratio = ratios.log_ratio.exp()
        weight = ratio.clamp(max=self.cap)
        return Factor(weight, {"weight": mean_of(weight), "truncated_fraction": share_of(ratio > self.cap)})
