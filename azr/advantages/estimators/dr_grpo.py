"""`dr_grpo`: GRPO done right. A = r - mean of the group; goes with `loss.aggregation: constant_length`."""

from __future__ import annotations

import numpy as np

from azr.advantages.moments import group_mean, without_variance
from azr.advantages.records import Advantages, Samples, Statistics


def dr_grpo(samples: Samples, statistics: Statistics) -> Advantages:  # noqa: ARG001 - estimators share one signature
    """Centred on the group's mean."""
    idle = without_variance(samples.rewards, samples.group)
    values = np.where(idle, 0.0, samples.rewards - group_mean(samples.rewards, samples.group))
    return Advantages(values=values, trained=~idle)
