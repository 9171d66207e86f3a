"""`decoupled_ppo`: clip around the proximal policy, weigh by how far that is from the behaviour policy.

The clip bounds what this step changes (π_θ/π_prox), the weight undoes how old the data is (π_prox/μ): a stale token
keeps a gradient, scaled, instead of falling outside the clip before the step has begun. With several mini-batches the
proximal policy stays fixed, so that the clip acts from the second on.

The proximal policy is either recomputed (one more forward pass at the step's start) or interpolated between the
behaviour and the current policy by version, which costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from azr.config.sections.algorithm import LossConfig
from learner.losses.base import LossOutput, TokenBatch, bounded_ratio, mean_of, wide
from learner.losses.clipped import clipped_surrogate


@dataclass(frozen=True)
class DecoupledPpo:
    """-sg(w) · min(r·A, clip(r)·A) with r = π_θ/π_prox and w from π_prox/μ."""

    clip_low: float = 0.2
    clip_high: float = 0.28
    dual_clip: float | None = 3.0

    @classmethod
    def of(cls, config: LossConfig) -> DecoupledPpo:
        """As configured."""
        return cls(config.clip_low, config.clip_high, config.dual_clip)

    def __call__(self, batch: TokenBatch, weight: Tensor) -> LossOutput:
        """Loss of each token."""
        ratio = bounded_ratio(batch.current, batch.proximal)
        objective, metrics = clipped_surrogate(
            ratio, wide(batch.advantages), low=self.clip_low, high=self.clip_high, dual=self.dual_clip
        )
        return LossOutput(-weight * objective, metrics | {"ratio": mean_of(ratio)})


def interpolated_proximal(
    current: Tensor, behaviour: Tensor, *, sampled_at: Tensor, proximal_at: Tensor, current_at: Tensor
) -> Tensor:
    """log π_prox ≈ log μ + α (log π_θ - log μ), per token, without a gradient.

    α = (v_prox - v_μ) / (v_θ - v_μ), clamped to [0, 1]: where on the way from the weights that sampled the token to
    the current ones the proximal weights lie. A token sampled from the current weights has α = 1.
    """
    distance = (current_at - sampled_at).to(wide(current).dtype)
    travelled = (proximal_at - sampled_at).to(distance.dtype)
    alpha = (travelled / distance.clamp(min=1.0)).clamp(0.0, 1.0).masked_fill(distance <= 0, 1.0)
    start = wide(behaviour.detach())
    return start + alpha * (wide(current.detach()) - start)
