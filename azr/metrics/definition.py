"""What a metric is: a name with its owner, a meaning, a unit, and how its values become one number."""

from __future__ import annotations

from typing import Literal

import msgspec

Reduction = Literal["mean", "sum", "max", "last", "histogram"]

#: What each reduction makes of the values that all shards report during a step.
REDUCTIONS: dict[Reduction, str] = {
    "mean": "their weighted mean",
    "sum": "their sum",
    "max": "the largest",
    "last": "the one reported latest",
    "histogram": "four numbers: .mean, .p50, .p95, .max",
}


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One number that azr reports."""

    name: str
    """`owner/name`."""
    description: str
    unit: str
    reduction: Reduction = "mean"
    by: str = ""
    """What it is told apart by, appended to the name: `cell` makes `reward/mean` into `reward/mean/deduction/solve`."""

    @property
    def owner(self) -> str:
        """The part before the slash: who reports it."""
        return self.name.partition("/")[0]
