"""A loss of one's own: as `reinforce`, but what is to become less likely is pushed less hard.

Install this folder (`pip install --no-deps --no-build-isolation docs/examples/own_loss`) on every machine of the run
and choose it:

    azr train --config tiny algorithm.loss.name=asymmetric algorithm.loss.weight=token_tis

A loss gets the response tokens of whole sequences, packed flat, and the weight that the corrections made of the
data's age. It answers one number a token; how tokens are averaged over sequences, micro-batches and ranks is not its
business. Without a weight and without masks no proximal policy is computed for it: `batch.proximal` is then the
behaviour policy.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, where

from azr.config.sections.algorithm import LossConfig
from learner.losses.base import LossOutput, TokenBatch, share_of, wide


@dataclass(frozen=True)
class Asymmetric:
    """-sg(w) · A · log π_θ, times `gentleness` where A is negative."""

    gentleness: float = 0.5

    @classmethod
    def of(cls, config: LossConfig) -> Asymmetric:  # noqa: ARG003 - a loss may read any key of `algorithm.loss`
        """From the configuration."""
        return cls()

    def __call__(self, batch: TokenBatch, weight: Tensor) -> LossOutput:
        """Loss of each token; metrics are sums with what to divide them by, so that ranks add up exactly."""
        advantages = wide(batch.advantages)
        scaled = where(advantages < 0, self.gentleness * advantages, advantages)
        per_token = -weight * scaled * wide(batch.current)
        return LossOutput(per_token, {"gentle_fraction": share_of(advantages < 0)})
