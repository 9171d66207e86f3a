"""`rloo`: REINFORCE with a leave-one-out baseline. A = r - mean of the others in the group."""

from __future__ import annotations

import numpy as np

from azr.advantages.moments import others_mean, without_variance
from azr.advantages.records import Advantages, Samples, Statistics


def rloo(samples: Samples, statistics: Statistics) -> Advantages:  # noqa: ARG001 - estimators share one signature
    """Leave-one-out, in units of the reward."""
    idle = without_variance(samples.rewards, samples.group)
    values = np.where(idle, 0.0, samples.rewards - others_mean(samples.rewards, samples.group))
    return Advantages(values=values, trained=~idle)
