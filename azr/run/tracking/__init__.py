"""Tracking: who is told of a run's metrics, parameters and artifacts, and how it never holds the run up."""

from azr.run.tracking.base import RunInfo, Tracker
from azr.run.tracking.board import TrackingBoard

__all__ = ["RunInfo", "Tracker", "TrackingBoard"]
