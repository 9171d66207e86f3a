"""How many replicas there should be: decided by who waits for whom, not by the number of requests in flight.

Players keep engines full by design, so requests in flight say nothing. What says something is the learner's wait for
data (too few engines) and engines' idle time (too many, or a learner that is the bottleneck). A pure decision; the run
feeds it once a learner step and hands the answer to `Rollouts.scale`.

    learner waits > up  ──► one more         (up to max_replicas, then a pause until it could have shown)
    engines idle > down, learner hardly waits ──► one less
"""

from __future__ import annotations

import msgspec

from azr.config.sections.rollout import RolloutConfig

#: Shares are averaged over about this many learner steps: one slow step is no reason to start an engine.
_STEPS = 8.0

#: The learner hardly waits below this share of `scale_up_wait`; between the two nothing changes, so that a replica
#: that is taken away is not missed in the next moment.
_CALM = 0.25


class ScalingState(msgspec.Struct, frozen=True):
    """What the decision remembers; a new one comes out of each."""

    replicas: int
    learner_wait: float = 0.0
    """Share of its time that the learner waited for data, averaged."""
    engines_idle: float = 0.0
    """Share of their time that engines had nothing to do, averaged."""
    steps: int = 0
    """Since the number of replicas changed last."""


def decide(state: ScalingState, config: RolloutConfig, *, learner_wait: float, engines_idle: float) -> ScalingState:
    """The state after one more learner step, its `replicas` one more or one less if that is called for."""
    steps = state.steps + 1
    share = 1.0 / min(float(steps), _STEPS)
    wait = state.learner_wait + share * (learner_wait - state.learner_wait)
    idle = state.engines_idle + share * (engines_idle - state.engines_idle)
    replicas = state.replicas
    if config.max_replicas > 0 and steps >= _STEPS:
        if wait > config.scale_up_wait and replicas < config.max_replicas:
            replicas += 1
        elif idle > config.scale_down_idle and wait < _CALM * config.scale_up_wait and replicas > 1:
            replicas -= 1
    changed = replicas != state.replicas
    return ScalingState(replicas, 0.0 if changed else wait, 0.0 if changed else idle, 0 if changed else steps)
