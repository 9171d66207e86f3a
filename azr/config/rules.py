"""What may not be combined across a whole configuration; asked once all layers are merged.

Rules stand beside the sections that they are about (`sections/*_rules.py`). They are given those, and of neighbours
what rules depend on, never the whole configuration: which section depends on which is seen here.
"""

from __future__ import annotations

from itertools import chain

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
from azr.config.sections.checking import Problem


def problems(config: Config) -> list[Problem]:
    """Everything that keeps the configuration from running; all at once, so that they can be mended at once."""
    staleness, ranks, longest = config.staleness.max_staleness, config.learner.ranks, longest_sequence(config)
    rating = config.algorithm.rating
    publish_every, backend = config.weights.publish_every, config.sandbox.backend
    return list(
        chain(
            algorithm_rules.problems(config.algorithm, staleness),
            gating_rules.problems(config.gating, config.lengths, config.seeding, config.algorithm, backend),
            buffers_rules.problems(config.buffers, publish_every, rating_trained=rating.trained),
            run_rules.problems(
                config.run,
                config.model,
                config.staleness,
                config.evaluation,
                config.checkpoint,
                config.cluster,
                ranks,
            ),
            actors_rules.problems(config.actors, config.algorithm.batch),
            sandbox_rules.problems(config.sandbox),
            rollout_rules.problems(config.rollout, longest),
            weights_rules.problems(config.weights, config.rollout, staleness, ranks, config.cluster.learner_gpus),
            learner_rules.problems(config.learner, longest),
            tracking_rules.problems(config.tracking),
            safety_rules.problems(config.safety),
        )
    )
