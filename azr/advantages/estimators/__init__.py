"""Estimators by name, one file each. A new one is a file here and a line in the table."""

from __future__ import annotations

from typing import Protocol

from azr.advantages.estimators.dr_grpo import dr_grpo
from azr.advantages.estimators.grpo import grpo
from azr.advantages.estimators.leave_one_out import leave_one_out
from azr.advantages.estimators.reinforce_pp import reinforce_pp
from azr.advantages.estimators.reinforce_pp_baseline import reinforce_pp_baseline
from azr.advantages.estimators.rejection_sampling import rejection_sampling
from azr.advantages.estimators.rloo import rloo
from azr.advantages.estimators.trrpp import trrpp
from azr.advantages.records import Advantages, Samples, Statistics


class Estimator(Protocol):
    """From rewards to advantages; a pure function."""

    def __call__(self, samples: Samples, statistics: Statistics) -> Advantages:
        """One advantage a sequence, in order."""
        ...


ESTIMATORS: dict[str, Estimator] = {
    "trrpp": trrpp,
    "leave_one_out": leave_one_out,
    "rloo": rloo,
    "grpo": grpo,
    "dr_grpo": dr_grpo,
    "reinforce_pp": reinforce_pp,
    "reinforce_pp_baseline": reinforce_pp_baseline,
    "rejection_sampling": rejection_sampling,
}

__all__ = ["ESTIMATORS", "Estimator"]
