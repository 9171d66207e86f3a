"""`cispo`: truncated importance weights on the score function; no token ever loses its gradient.

Where PPO drops tokens outside its clip (often the rare ones at which reasoning turns), CISPO keeps every token and
bounds only its weight. The ratio π_θ/μ is corrected here, so that a further weight on it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from azr.config.sections.algorithm import LossConfig
from learner.losses.base import LossOutput, TokenBatch, bounded_ratio, mean_of, share_of, wide


@dataclass(frozen=True)
class Cispo:
    """-sg(w · clip(π_θ/μ, 0, ε_max)) · A · log π_θ."""

    ratio_max: float = 5.0

    @classmethod
    def of(cls, config: LossConfig) -> Cispo:
        """As configured."""
        return cls(config.ratio_max)

    def __call__(self, batch: TokenBatch, weight: Tensor) -> LossOutput:
        """Loss of each token."""
        ratio = bounded_ratio(batch.current, batch.behaviour).detach()
        scale = weight * ratio.clamp(max=self.ratio_max)
        per_token = -scale * wide(batch.advantages) * wide(batch.current)
        metrics = {"clip_high_fraction": share_of(ratio > self.ratio_max), "ratio": mean_of(ratio)}
        return LossOutput(per_token, metrics)
