"""`gspo`: one ratio a sequence, the geometric mean of its tokens' ratios.

The reward is given to the sequence, so the ratio and its clip are the sequence's too: a few odd tokens (a mixture of
experts routed otherwise, say) neither clip alone nor dominate. Bounds are tight because a mean of log-ratios is small.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from azr.config.sections.algorithm import LossConfig
from learner.losses.base import MAX_LOG_RATIO, LossOutput, TokenBatch, mean_of, sequence_mean, wide
from learner.losses.clipped import clipped_surrogate


@dataclass(frozen=True)
class Gspo:
    """-w · min(s·A, clip(s)·A) with s = exp(mean_t log(π_θ/π_prox)) of the token's sequence."""

    clip_low: float = 3e-4
    clip_high: float = 4e-4

    @classmethod
    def of(cls, config: LossConfig) -> Gspo:
        """As configured."""
        return cls(config.sequence_clip_low, config.sequence_clip_high)

    def __call__(self, batch: TokenBatch, weight: Tensor) -> LossOutput:
        """Loss of each token: its sequence's. A mean over sequences makes one of each; a mean over tokens, which is
        refused, would weigh them by their lengths."""
        log_ratio = (wide(batch.current) - wide(batch.proximal)).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
        ratio = sequence_mean(log_ratio, batch).exp()[batch.sequence]
        objective, metrics = clipped_surrogate(
            ratio, wide(batch.advantages), low=self.clip_low, high=self.clip_high, dual=None
        )
        return LossOutput(-weight * objective, metrics | {"ratio": mean_of(ratio)})
