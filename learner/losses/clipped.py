"""The clipped surrogate shared by `ppo` and `decoupled_ppo`: they differ only in the anchor of the ratio."""

from __future__ import annotations

import torch
from torch import Tensor

from learner.losses.base import Share, share_of


def clipped_surrogate(
    ratio: Tensor, advantages: Tensor, *, low: float, high: float, dual: float | None
) -> tuple[Tensor, dict[str, Share]]:
    """PPO's pessimistic objective with separate bounds and, for negative advantages, a floor.

    objective = min(r·A, clip(r, 1 - low, 1 + high)·A), and where A < 0 at least dual·A: without that floor a token
    whose ratio explodes under a negative advantage would pull without bound (dual clip).
    Returns the objective (to be maximised) and the shares of tokens at which each bound acted.
    """
    unclipped = ratio * advantages
    clipped = ratio.clamp(1.0 - low, 1.0 + high) * advantages
    objective = torch.minimum(unclipped, clipped)
    metrics = {
        "clip_low_fraction": share_of((ratio < 1.0 - low) & (advantages < 0)),
        "clip_high_fraction": share_of((ratio > 1.0 + high) & (advantages > 0)),
    }
    if dual is not None:
        floor = dual * advantages
        floored = (advantages < 0) & (objective < floor)
        objective = torch.where(advantages < 0, torch.maximum(objective, floor), objective)
        metrics["dual_clip_fraction"] = share_of(floored)
    return objective, metrics
