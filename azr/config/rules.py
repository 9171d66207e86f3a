"""What may not be combined across a whole configuration; asked once all layers are merged.

A section's own rules stand beside it (`sections/*_rules.py`) and know nothing of other sections; here each is given
what it needs of its neighbours, and its keys get their full names.
"""

from __future__ import annotations

from typing import NamedTuple

from azr.config.root import Config, longest_sequence
from azr.config.sections import (
    actors_rules,
    algorithm_rules,
    buffers_rules,
    gating_rules,
    learner_rules,
    rollout_rules,
    run_rules,
    safety_rules,
    sandbox_rules,
    tracking_rules,
    weights_rules,
)


class Problem(NamedTuple):
    """One thing that is wrong, with the key to change."""

    key: str
    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.key}: {self.what} ({self.mend})"


def problems(config: Config) -> list[Problem]:
    """Everything that keeps the configuration from running; all at once, so that they can be mended at once."""
    staleness = config.staleness.max_staleness
    algorithm = algorithm_rules.problems(config.algorithm, staleness)
    longest = longest_sequence(config)
    learner = learner_rules.problems(config.learner, longest)
    game, backend = config.algorithm.game, config.sandbox.backend
    gating = gating_rules.problems(config.gating, config.lengths, config.seeding, game, backend)
    buffers = buffers_rules.problems(
        config.buffers, config.weights.publish_every, rating_trained=config.algorithm.rating.trained
    )
    return [
        *(Problem(f"algorithm.{key}", what, mend) for key, what, mend in algorithm),
        *(Problem(key, what, mend) for key, what, mend in gating),
        *(Problem(key, what, mend) for key, what, mend in buffers),
        *(Problem(key, what, mend) for key, what, mend in run_rules.problems(config)),
        *(Problem(key, what, mend) for key, what, mend in actors_rules.problems(config.actors, config.algorithm)),
        *(Problem(key, what, mend) for key, what, mend in sandbox_rules.problems(config.sandbox)),
        *(Problem(key, what, mend) for key, what, mend in rollout_rules.problems(config.rollout, longest)),
        *(Problem(key, what, mend) for key, what, mend in weights_rules.problems(config.weights, staleness)),
        *(Problem(key, what, mend) for key, what, mend in learner),
        *(Problem(key, what, mend) for key, what, mend in tracking_rules.problems(config.tracking)),
        *(Problem(key, what, mend) for key, what, mend in safety_rules.problems(config.safety)),
    ]
