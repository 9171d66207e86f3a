"""Counts and gaps, from records as vLLM gives them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from actors.engine.statistics import Seams, StepCounter


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _step(counter: StepCounter, clock: Clock, seconds: float, *, running: int, tokens: int) -> None:
    clock.now += seconds
    prefix = SimpleNamespace(queries=10, hits=4)
    scheduler = SimpleNamespace(
        num_running_reqs=running,
        num_waiting_reqs=1,
        num_skipped_waiting_reqs=1,
        kv_cache_usage=0.25,
        prefix_cache_stats=prefix,
    )
    iteration = SimpleNamespace(num_generation_tokens=tokens, num_preempted_reqs=0)
    counter.record(scheduler, iteration)


class TestCounts:
    def test_they_add_up(self) -> None:
        clock = Clock()
        counter = StepCounter(clock)
        _step(counter, clock, 1.0, running=2, tokens=2)
        _step(counter, clock, 1.0, running=2, tokens=3)
        found = counter.snapshot()
        assert found.generated_tokens == 5
        assert (found.prefix_queries, found.prefix_hits) == (20, 8)
        assert (found.running, found.waiting, found.kv_use) == (2, 2, 0.25)

    def test_time_counts_as_busy_while_something_ran(self) -> None:
        clock = Clock()
        counter = StepCounter(clock)
        _step(counter, clock, 3.0, running=2, tokens=1)  # idle before the first step
        _step(counter, clock, 1.0, running=0, tokens=1)
        _step(counter, clock, 7.0, running=1, tokens=1)  # idle again
        assert counter.snapshot().busy_seconds == pytest.approx(1.0)

    def test_a_step_without_records_counts_nothing(self) -> None:
        counter = StepCounter(Clock())
        counter.record(None, None)
        assert counter.snapshot().generated_tokens == 0


class TestSeams:
    def test_a_gap_is_between_the_last_token_of_one_version_and_the_first_of_the_next(self) -> None:
        seams = Seams()
        for version, at in (("0.1", 1.0), ("0.1", 1.1), ("0.2", 1.35), ("0.2", 1.4), ("0.3", 1.5)):
            seams.observe(version, at, True)
        assert seams.drain() == [pytest.approx(0.25), pytest.approx(0.1)]
        assert seams.drain() == []

    def test_steps_without_tokens_are_passed_over(self) -> None:
        seams = Seams()
        seams.observe("0.1", 1.0, True)
        seams.observe("0.2", 1.2, False)
        seams.observe("0.2", 1.3, True)
        assert seams.drain() == [pytest.approx(0.3)]

    def test_an_engine_that_was_idle_leaves_no_gap(self) -> None:
        seams = Seams()
        seams.observe("0.1", 1.0, True)
        seams.nothing_runs()
        seams.observe("0.2", 60.0, True)
        assert seams.drain() == []
