"""`trrpp`: task-relative REINFORCE++, whitening inside each cell (the published estimator).

A = (r - mean of the cell) / √(variance of the cell + ε). Six cells, six baselines: a proposer's reward is never
compared with a solver's, nor deduction with induction. With token weights and without running statistics it is the
published form exactly.
"""

from __future__ import annotations

import numpy as np

from azr.advantages.records import Advantages, Samples, Statistics


def trrpp(samples: Samples, statistics: Statistics) -> Advantages:
    """Whitened by the cell's (blended) moments."""
    scale = 1.0 / np.sqrt(statistics.variance + statistics.epsilon)
    centred = samples.rewards - statistics.mean[samples.cell]
    return Advantages.all_trained(centred * scale[samples.cell])
