"""V-trace as a weight: min(1, ρ) of a token and of all that follow it in its response, multiplied.

There is no critic: the value of every state is the baseline that the advantage already has subtracted. V-trace's
recursion (ρ̄ = c̄ = min(1, ρ), λ = γ = 1, one reward R at the end, V_t = b until the end and 0 after it)

    δ_t = ρ̄_t (R_t + V_{t+1} - V_t)            0 but at the last token
    v_t = V_t + δ_t + c̄_t (v_{t+1} - V_{t+1})   = b + (R - b) Π_{s ≥ t} ρ̄_s
    A_t = ρ̄_t (R_t + v_{t+1} - V_t)             = (R - b) Π_{s ≥ t} ρ̄_s

then says: the advantage times the product below. What is left of a reward at a token is how likely the present policy
is to go on from there as the old one did; it never exceeds 1, so that old data can only be quieter, not louder.
"""

from __future__ import annotations

from dataclasses import dataclass

from azr.config.sections.algorithm import LossConfig
from learner.corrections.base import Factor, Ratios, per_sequence_sum
from learner.losses.base import MAX_LOG_RATIO, mean_of, share_of


@dataclass(frozen=True)
class Vtrace:
    """w_t = Π_{s ≥ t} min(1, ρ_s)."""

    @classmethod
    def of(cls, _config: LossConfig) -> Vtrace:
        """Both levels of truncation are 1, as published: with others it would no longer be bounded."""
        return cls()

    def __call__(self, ratios: Ratios) -> Factor:
        """The product over the rest of each token's response."""
        # Running sums over the whole batch, in double precision: their differences must be right to fp32.
        logs = ratios.log_ratio.double().clamp(max=0.0)
        ends = per_sequence_sum(logs, ratios).cumsum(0)[ratios.sequence]
        rest = ends - logs.cumsum(0) + logs
        weight = rest.clamp(-MAX_LOG_RATIO, 0.0).exp().to(ratios.log_ratio.dtype)
        return Factor(weight, {"weight": mean_of(weight), "truncated_fraction": share_of(ratios.log_ratio > 0.0)})
