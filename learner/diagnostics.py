"""Numbers that say whether off-policy training is healthy.

Owns the sums from which they are computed, so that micro-batches and ranks add up exactly; `RatioSums.report` makes
the published numbers of them. Called once a step on the ratios between learner and engine.

* k1, k3: two estimates of the divergence of the engine's policy from the learner's. Restricted to tokens sampled from
  the very weights they are compared with, they measure numerics alone (`off_policy/mismatch_*`). Engines that keep old
  keys and values sample such tokens only in responses of one version.
* ess: the share of the batch that ρ as a weight of each token leaves effective; 1 when all are equal. Of a loss with
  corrections the trainer tells `learner.objective.effective_share` in its place, which is of the factors in use.
* chi2: E[ρ²] - 1, the variance that ρ brings as a weight of each token.
* perplexity_gap: by how much the learner finds the responses more (or less) surprising than the engine, as a factor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from learner.losses.base import MAX_LOG_RATIO, wide

#: Bounds outside which a token's ratio is reported as extreme.
EXTREME_RATIO = (0.5, 2.0)


@dataclass(frozen=True)
class RatioSums:
    """Sums over tokens of functions of ρ = π/μ. Adding two gives the sums of both."""

    tokens: float = 0.0
    log_ratio: float = 0.0
    ratio: float = 0.0
    ratio_squared: float = 0.0
    excess: float = 0.0
    """Σ (ρ - 1 - log ρ)."""
    extreme: float = 0.0

    @classmethod
    def of(cls, learner: Tensor, engine: Tensor) -> RatioSums:
        """Sums over the tokens of two equally shaped tensors of log-probabilities."""
        log_ratio = (wide(learner.detach()) - wide(engine.detach())).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).double()
        ratio = log_ratio.exp()
        extreme = (ratio < EXTREME_RATIO[0]) | (ratio > EXTREME_RATIO[1])
        sums = torch.stack(
            [
                log_ratio.sum(),
                ratio.sum(),
                ratio.square().sum(),
                (ratio - 1.0 - log_ratio).sum(),
                extreme.double().sum(),
            ]
        ).tolist()
        return cls(float(log_ratio.numel()), *sums)

    def __add__(self, other: RatioSums) -> RatioSums:
        return RatioSums(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def numbers(self) -> list[float]:
        """The sums in the order of the fields, to be added up over ranks."""
        return [float(getattr(self, field.name)) for field in fields(self)]

    def report(self) -> dict[str, float]:
        """The numbers; an empty batch has none."""
        if self.tokens == 0:
            return {}
        return {
            "k1": -self.log_ratio / self.tokens,
            "k3": self.excess / self.tokens,
            "chi2": self.ratio_squared / self.tokens - 1.0,
            "ess": self.ratio**2 / (self.tokens * self.ratio_squared),
            "extreme_fraction": self.extreme / self.tokens,
            "perplexity_gap": math.exp(-self.log_ratio / self.tokens),
        }
