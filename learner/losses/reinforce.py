"""`reinforce`: the score function times the advantage, nothing else.

It has no trust region and corrects nothing by itself: with a weight from the corrections it is importance-weighted
REINFORCE, without one it believes its data to be on policy. The reference against which the others are judged, and
refused where data may be older than one step unless a bounded weight is chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from azr.config.sections.algorithm import LossConfig
from learner.losses.base import LossOutput, TokenBatch, wide


@dataclass(frozen=True)
class Reinforce:
    """-sg(w) · A · log π_θ."""

    @classmethod
    def of(cls, _config: LossConfig) -> Reinforce:
        """It has nothing to configure."""
        return cls()

    def __call__(self, batch: TokenBatch, weight: Tensor) -> LossOutput:
        """Loss of each token."""
        return LossOutput(-weight * wide(batch.advantages) * wide(batch.current), {})
