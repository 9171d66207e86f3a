"""The whole configuration: one field a section. A new part adds its section here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field

from azr.config.sections.algorithm import AlgorithmConfig
from azr.config.sections.run import RunConfig


@dataclass
class Config:
    """Everything a run can be told."""

    run: RunConfig = field(default_factory=RunConfig)
    """The run itself: name, folder, seed."""

    algorithm: AlgorithmConfig = field(default_factory=AlgorithmConfig)
    """What is learned from the stream of responses: rewards, advantages, batches, loss."""
