"""`leave_one_out`: against the other attempts at the same task, in units of the cell's deviation.

A = (r - mean of the others in the group) / √(variance of the cell + ε). The baseline knows how hard this task is,
does not depend on the sample it judges (so the gradient stays unbiased), and the cell's deviation, unlike the
group's own, does not blow up tasks that nearly all attempts solve.
"""

from __future__ import annotations

import numpy as np

from azr.advantages.moments import others_mean, without_variance
from azr.advantages.records import Advantages, Samples, Statistics


def leave_one_out(samples: Samples, statistics: Statistics) -> Advantages:
    """Leave-one-out mean of the task's attempts over the cell's deviation."""
    scale = 1.0 / np.sqrt(statistics.variance + statistics.epsilon)
    idle = without_variance(samples.rewards, samples.group)
    centred = np.where(idle, 0.0, samples.rewards - others_mean(samples.rewards, samples.group))
    return Advantages(values=centred * scale[samples.cell], trained=~idle)
