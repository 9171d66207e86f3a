"""Configuration of staleness and admission: how old a sample may be when it is trained on, and who waits for whom."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class StalenessConfig:
    """The age of data."""

    max_staleness: int = 4
    """η: learner steps between the weights that made a sample's oldest token and the step that trains on it. 0 is the
    synchronous system. AReaL (arXiv 2505.24298) tells 42.2 on AIME24 of 4 with a correction, 23.3 of 4
    without, 42.0 of 0."""
    max_tries: int = 3
    """A group whose attempts were lost this often is poisoned: dropped whole and counted."""
    sweep_alarm: float = 0.01
    """Alarm when more than this share of the samples of one length quartile is swept: long answers are vanishing."""
    sweep_window: int = 4096
    """Samples that the length quartiles and the alarm look back on."""
