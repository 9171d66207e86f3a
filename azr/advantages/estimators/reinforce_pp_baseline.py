"""`reinforce_pp_baseline`: minus the group's mean, then whitened over all samples.

A group without variance is not left out: after whitening it sits at the batch's (token-weighted) mean, not at 0.
"""

from __future__ import annotations

from azr.advantages.estimators.reinforce_pp import whitened
from azr.advantages.moments import group_mean
from azr.advantages.records import Advantages, Samples, Statistics


def reinforce_pp_baseline(samples: Samples, statistics: Statistics) -> Advantages:
    """Centred on the group's mean, whitened by the batch's moments."""
    centred = samples.rewards - group_mean(samples.rewards, samples.group)
    return Advantages.all_trained(whitened(centred, statistics.weights, statistics.epsilon))
