"""Configuration of a run's checkpoints: when, and when rather not. How many are kept is said in `learner`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class CheckpointConfig:
    """What is written besides the learner's tensors (`learner.checkpoint_every` says how often)."""

    snapshot: bool = True
    """Write experience and task buffers into each checkpoint as well. Off: a resume relies on their journals, which the
    run's folder holds in any case, and which go back to the newest `learner.keep_last` checkpoints; an older one, and
    one that is copied elsewhere without them, is refused."""
    free_gb: float = 1.0
    """A run does not start or go on, and warns while it runs, where the disk of its folder has less than this left."""
