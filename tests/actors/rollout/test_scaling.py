"""The number of replicas follows the learner's wait for data and the engines' idle time, slowly."""

from __future__ import annotations

import pytest

from actors.rollout.scaling import ScalingState, decide
from azr.config.sections.rollout import RolloutConfig

CONFIG = RolloutConfig(max_replicas=4, scale_up_wait=0.2, scale_down_idle=0.5)


def _run(state: ScalingState, steps: int, wait: float, idle: float, config: RolloutConfig = CONFIG) -> ScalingState:
    for _ in range(steps):
        state = decide(state, config, learner_wait=wait, engines_idle=idle)
    return state


def test_a_learner_that_waits_gets_one_replica_more_after_eight_steps() -> None:
    assert _run(ScalingState(1), 7, wait=0.5, idle=0.0).replicas == 1
    assert _run(ScalingState(1), 8, wait=0.5, idle=0.0).replicas == 2


def test_after_a_change_the_new_replica_has_eight_steps_to_show_what_it_does() -> None:
    assert _run(ScalingState(1), 15, wait=0.5, idle=0.0).replicas == 2
    assert _run(ScalingState(1), 16, wait=0.5, idle=0.0).replicas == 3


def test_there_are_never_more_than_the_most() -> None:
    assert _run(ScalingState(1), 500, wait=1.0, idle=0.0).replicas == 4


def test_idle_engines_go_one_by_one_and_the_last_stays() -> None:
    assert _run(ScalingState(3), 8, wait=0.0, idle=0.9).replicas == 2
    assert _run(ScalingState(3), 500, wait=0.0, idle=0.9).replicas == 1


def test_idle_engines_stay_while_the_learner_waits_at_all() -> None:
    assert _run(ScalingState(3), 100, wait=0.06, idle=0.9).replicas == 3


@pytest.mark.parametrize("wait", [0.0, 0.1, 0.19])
def test_between_the_two_nothing_changes(wait: float) -> None:
    assert _run(ScalingState(2), 100, wait=wait, idle=0.4).replicas == 2


def test_one_slow_step_changes_nothing() -> None:
    state = _run(ScalingState(2), 20, wait=0.0, idle=0.1)
    state = decide(state, CONFIG, learner_wait=1.0, engines_idle=0.0)
    assert state.learner_wait == pytest.approx(1 / 8)
    assert state.replicas == 2


def test_the_average_of_the_first_steps_is_their_mean() -> None:
    state = ScalingState(1)
    for wait in (0.0, 0.3, 0.6):
        state = decide(state, CONFIG, learner_wait=wait, engines_idle=0.0)
    assert state.learner_wait == pytest.approx(0.3)


def test_without_a_most_the_number_is_fixed() -> None:
    assert _run(ScalingState(2), 100, wait=1.0, idle=0.0, config=RolloutConfig()).replicas == 2
    assert _run(ScalingState(2), 100, wait=0.0, idle=1.0, config=RolloutConfig()).replicas == 2
