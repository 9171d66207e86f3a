"""Metrics: the one place where each number is defined, named, described and reduced."""

from azr.metrics.accumulator import Accumulator, merged
from azr.metrics.catalogue import METRICS, find
from azr.metrics.definition import Metric

__all__ = ["METRICS", "Accumulator", "Metric", "find", "merged"]
