"""Staleness: what may be generated ahead of the learner, and what is too old to train on."""

from azr.staleness.admission import Admission, Limits, Refusal, capacity
from azr.staleness.bound import (
    Ancestry,
    StalenessError,
    assert_fresh,
    assert_fresh_spans,
    staleness,
    sweep_reason,
    versions_of,
)

__all__ = [
    "Admission",
    "Ancestry",
    "Limits",
    "Refusal",
    "StalenessError",
    "assert_fresh",
    "assert_fresh_spans",
    "capacity",
    "staleness",
    "sweep_reason",
    "versions_of",
]
