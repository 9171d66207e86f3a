"""Advantages: from the rewards of a batch to one number a sequence, with one baseline a cell."""

from azr.advantages.baselines import Baseline, Baselines
from azr.advantages.compute import compute
from azr.advantages.records import Advantages, Samples

__all__ = ["Advantages", "Baseline", "Baselines", "Samples", "compute"]
