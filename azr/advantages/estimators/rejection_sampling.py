"""`rejection_sampling`: what earned something is imitated, all else thrown away. A = 1 where r > 0, no baseline.

With `loss.name: reinforce` and no weight the loss is the mean negative log-likelihood of those responses: supervised
training on the model's own right answers (RAFT, rejection-sampling fine-tuning). The control that learning by rewards
is held against (docs/decisions/learning-study.md): a wrong answer teaches nothing, an easy task as much as a hard one.
"""

from __future__ import annotations

import numpy as np

from azr.advantages.records import Advantages, Samples, Statistics


def rejection_sampling(samples: Samples, statistics: Statistics) -> Advantages:  # noqa: ARG001 - one signature for all
    """1 for what earned a positive reward; the rest carries no gradient."""
    kept = samples.rewards > 0.0
    return Advantages(values=np.where(kept, 1.0, 0.0), trained=kept)
