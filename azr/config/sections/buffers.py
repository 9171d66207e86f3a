"""Configuration of the task buffers: what they hold, what is drawn first, what is shown to the proposer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class BuffersConfig:
    """One buffer a task type. The share of replay in a batch is `algorithm.batch.replay_share`."""

    capacity: int = 65536
    """Tasks held of each type; at capacity the least useful leave (published: 16,384, then frozen)."""
    selection: str = "learnability"
    """How replay draws: by `learnability` (with age, novelty and visits), or `uniform`, as published."""
    age_half_life: float = 32.0
    """Learner steps after which an estimate of difficulty counts half: the solver it was made with is no more."""
    novelty_exponent: float = 0.5
    """A task weighs copies^-this, copies being the tasks that share its program; 0: repetition costs nothing."""
    visit_exponent: float = 0.5
    """A task weighs (1 + visits)^-this; 0: drawn as often as it is learnable."""
    new_steps: int = 1
    """Learner steps for which a task counts as new although it is rated already (where ratings are not trained on)."""
    rest_steps: int = 0
    """Learner steps after the one that proposed it until a task is drawn for solving. 1, as published: solvers get
    tasks of the step before, whoever is quicker within a step. Seeds count as proposed before step 0."""
    out_steps: int = 16
    """A task drawn comes back by itself when no rating arrived within this many learner steps."""
    reference_half_life: float = 64.0
    """Learner steps after which a task is half as likely to be shown to a proposer."""
    reference_floor: float = 0.1
    """Weight that even the oldest task keeps as a reference, so that early ideas stay in view; published: 1."""
    reference_pool: int = 4
    """Candidates drawn for each reference wanted, of which the least alike are shown; 1: no care for diversity."""
