"""Stages: each wait has a deadline, and its end names who was waited for."""

from __future__ import annotations

import time

import pytest

from azr.run import stages as module
from azr.run.stages import WORK, Stages, StageTimeoutError


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_stage_tells_what_it_waits_for_and_how_long_it_took(clock: Clock) -> None:
    told: list[str] = []
    stages = Stages(told.append, clock)
    with stages.stage("engines", "1 replica", 60):
        clock.now = 12.0
    assert told == ["engines … 1 replica", "engines ready after 12.0 s"]
    assert stages.done == [("engines", 12.0)]


def test_what_remains_shrinks_and_ends_in_an_error_that_names_the_waited_for(clock: Clock) -> None:
    with Stages(lambda _: None, clock).stage("engines", "replica 0", 60) as stage:
        clock.now = 20.0
        assert stage.remaining() == 40.0
        assert stage.remaining(at_most=5.0) == 5.0
        stage.now("replica 1")
        clock.now = 61.0
        with pytest.raises(StageTimeoutError, match="engines: waited 61 s for replica 1"):
            stage.remaining()


def test_the_error_names_the_key_whose_value_the_deadline_is(clock: Clock) -> None:
    stages = Stages(lambda _: None, clock)
    for words, key in (((), "cluster.start_seconds"), ((WORK,), "cluster.work_seconds")):
        clock.now = 0.0
        with stages.stage("seeds", "the model's first tasks", 60, *words) as stage:
            clock.now = 61.0
            assert stage.timeout().mend.endswith(f"raise {key}")


def test_a_timeout_inside_becomes_the_stages_own(clock: Clock) -> None:
    with (
        pytest.raises(StageTimeoutError, match="services: waited 60 s for the journal"),
        Stages(lambda _: None, clock).stage("services", "the journal", 60),
    ):
        clock.now = 59.9
        raise TimeoutError("something of Ray's")


def test_a_timeout_of_somebody_elses_deadline_is_not_put_down_to_the_stages(clock: Clock) -> None:
    """Nobody is told to raise a deadline that has not passed."""
    with (
        pytest.raises(StageTimeoutError) as raised,
        Stages(lambda _: None, clock).stage("engines", "1 replica", 600),
    ):
        clock.now = 60.0
        raise TimeoutError("the registry said nothing for 60 s")
    assert raised.value.what == (
        "engines: something did not answer while 1 replica was waited for: the registry said nothing for 60 s"
    )
    assert raised.value.mend == "look at the logs in the run's folder"


def test_another_error_passes_as_it_is_and_nothing_is_called_ready(clock: Clock) -> None:
    told: list[str] = []
    stages = Stages(told.append, clock)
    with pytest.raises(ZeroDivisionError), stages.stage("learner", "ranks", 60):
        raise ZeroDivisionError
    assert stages.done == []
    assert told == ["learner … ranks"]


def test_a_long_wait_shows_life(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK_SECONDS", 0.001)
    told: list[str] = []
    with Stages(told.append, clock).stage("engines", "replica 0", 60):
        clock.now = 7.0
        for _ in range(10_000):
            if len(told) > 1 and "7 s" in told[-1]:
                break
            time.sleep(0.001)
    assert "engines … waiting for replica 0, 7 s of 60" in told
