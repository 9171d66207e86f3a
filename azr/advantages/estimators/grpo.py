"""`grpo`: whitening inside each group. A = (r - mean of the group) / (deviation of the group + ε).

The deviation is the group's own (Bessel-corrected), so that tasks which are nearly always or nearly never solved weigh
most; `dr_grpo` is the same without it.
"""

from __future__ import annotations

import numpy as np

from azr.advantages.moments import moments, without_variance
from azr.advantages.records import Advantages, Samples, Statistics


def grpo(samples: Samples, statistics: Statistics) -> Advantages:
    """Whitened by the group's own mean and deviation."""
    idle = without_variance(samples.rewards, samples.group)
    groups = int(samples.group.max()) + 1 if len(samples) else 0
    own = moments(samples.rewards, np.ones(len(samples)), samples.group, groups)
    deviation = np.sqrt(own.variance)[samples.group]
    values = (samples.rewards - own.mean[samples.group]) / (deviation + statistics.epsilon)
    return Advantages(values=np.where(idle, 0.0, values), trained=~idle)
