"""`dppo_tv`: a trust region on the change of probability, not on the ratio.

A ratio says little about a rare token: from 1e-5 to 3e-5 is a ratio of 3 and no change at all. Here a token is masked
when its probability has moved by more than δ (binary total variation) in the direction its advantage pushes; all
others keep their importance-weighted gradient. A small quadratic pull on the log-ratio holds the policies together.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from azr.config.sections.algorithm import LossConfig
from learner.losses.base import LossOutput, TokenBatch, bounded_ratio, mean_of, share_of, wide


@dataclass(frozen=True)
class DppoTv:
    """w · (κ (log π_θ/μ)² - 1[inside] · min(π_θ/μ, r_max) · A), where w is 0 for tokens that a mask takes out."""

    delta: float = 0.2
    ratio_max: float = 20.0
    pull: float = 1e-3

    @classmethod
    def of(cls, config: LossConfig) -> DppoTv:
        """As configured."""
        return cls(delta=config.tv_delta, pull=config.tv_pull)

    def __call__(self, batch: TokenBatch, weight: Tensor) -> LossOutput:
        """Loss of each token."""
        advantages = wide(batch.advantages)
        moved = (wide(batch.current).exp() - wide(batch.behaviour).exp()).detach()
        outside = ((advantages > 0) & (moved > self.delta)) | ((advantages < 0) & (moved < -self.delta))
        ratio = bounded_ratio(batch.current, batch.behaviour)
        objective = (~outside) * ratio.clamp(max=self.ratio_max) * advantages
        pull = self.pull * (wide(batch.current) - wide(batch.behaviour)).square()
        return LossOutput(
            weight * (pull - objective), {"trust_mask_fraction": share_of(outside), "ratio": mean_of(ratio)}
        )
