"""`reinforce_pp`: REINFORCE++, whitening over all its samples at once. What `trrpp` is without cells."""

from __future__ import annotations

import numpy as np

from azr.advantages.moments import moments
from azr.advantages.records import Advantages, Floats, Samples, Statistics


def reinforce_pp(samples: Samples, statistics: Statistics) -> Advantages:
    """Whitened by the batch's moments."""
    return Advantages.all_trained(whitened(samples.rewards, statistics.weights, statistics.epsilon))


def whitened(rewards: Floats, weights: Floats, epsilon: float) -> Floats:
    """(r - mean) / √(variance + ε) over all sequences."""
    _, mean, variance = moments(rewards, weights, np.zeros(len(rewards), dtype=np.int64), 1)
    values: Floats = (rewards - mean[0]) / np.sqrt(variance[0] + epsilon)
    return values
