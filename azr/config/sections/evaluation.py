"""Configuration of evaluation: which held-out tasks are asked, when, and with how many samples."""

from __future__ import annotations

from dataclasses import dataclass

SUITES = ("tiny", "none")

#: Tasks of each type and difficulty that `tiny` has, which is `azr.tiny`'s to know (a test holds the two together).
TINY_TASKS = 200


@dataclass
class EvaluationConfig:
    """Held-out tasks, answered by the run's own engines before and after training."""

    suite: str = "none"
    """`tiny`: the tasks held out from the embedded model's world, whose programs the gate then refuses as
    `held_out`, as seeds and as proposals; `none`."""
    tasks: int = 128
    """Held-out tasks of each type, of each difficulty; `tiny` has 200."""
    samples: int = 4
    """Answers to each task at temperature 1, besides one greedy answer."""
    before: bool = True
    """Evaluate before the first step."""
    after: bool = True
    """Evaluate after the last step."""
