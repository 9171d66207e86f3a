"""`ppo`: the clipped surrogate anchored at the behaviour policy (bypass).

One ratio π_θ/μ carries staleness, engine mismatch and the step's own progress, and one clip bounds them all. Cheapest:
no proximal forward pass. It forgets what is far off policy: a token outside the clip has no gradient at all. Because
the clip already corrects π_θ/μ, a weight on the same ratio is refused (`azr.config.sections.algorithm_rules`).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from azr.config.sections.algorithm import LossConfig
from learner.losses.base import LossOutput, TokenBatch, bounded_ratio, mean_of, wide
from learner.losses.clipped import clipped_surrogate


@dataclass(frozen=True)
class Ppo:
    """-w · min(r·A, clip(r)·A) with r = π_θ/μ and w a 0/1 mask."""

    clip_low: float = 0.2
    clip_high: float = 0.28
    dual_clip: float | None = 3.0

    @classmethod
    def of(cls, config: LossConfig) -> Ppo:
        """As configured."""
        return cls(config.clip_low, config.clip_high, config.dual_clip)

    def __call__(self, batch: TokenBatch, weight: Tensor) -> LossOutput:
        """Loss of each token."""
        ratio = bounded_ratio(batch.current, batch.behaviour)
        objective, metrics = clipped_surrogate(
            ratio, wide(batch.advantages), low=self.clip_low, high=self.clip_high, dual=self.dual_clip
        )
        return LossOutput(-weight * objective, metrics | {"ratio": mean_of(ratio)})
