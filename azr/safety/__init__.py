"""The safety watch: concerning chains of thought are flagged, counted, sampled for people, and may be left out."""

from azr.safety.detector import Detector, Hit
from azr.safety.watch import Flagged, Watch

__all__ = ["Detector", "Flagged", "Hit", "Watch"]
