"""Whole groups keep solve rates honest: a simulated run in which wrong answers are long and long ones come late.

Each attempt is right with the task's own probability. A right one takes a few ticks, a wrong one often very many. The
learner takes batches as fast as it can, so slow attempts are overtaken by its steps. Two ways to rate a task:

    whole groups   all n attempts, once the last is in, whether or not the group is still young enough to train on
    naive          those attempts of it that came in within the bound, each by itself
"""

from __future__ import annotations

import heapq

import numpy as np
import pytest

from azr.config.sections.staleness import StalenessConfig
from azr.game.batch import BatchPlan, Quota
from azr.game.types import Cell, Version
from azr.ledger.experience import Batch, Experience
from azr.ledger.ledger import Sample
from azr.staleness.admission import Limits
from azr.staleness.lengths import SweptByLength
from tests.ledger.play import replay

SOLVE = Cell("deduction", "solve")
ATTEMPTS = 8
TASKS = 1500
LIMITS = Limits(max_staleness=4, propose=0, solve=32, attempts=8, replay_attempts=8, replay_share=1.0)
PLAN = BatchPlan((Quota(SOLVE, 4, 8),))


class Simulation:
    """Tasks admitted as slots come free; attempts that take their time; a learner that is always hungry."""

    def __init__(self, slow: int, seed: int = 0) -> None:
        generator = np.random.default_rng(seed)
        self.truth = generator.uniform(0.2, 0.8, TASKS)
        self.right = generator.random((TASKS, ATTEMPTS)) < self.truth[:, None]
        quick = generator.integers(1, 5, (TASKS, ATTEMPTS))
        self.ticks = np.where(self.right | (generator.random((TASKS, ATTEMPTS)) < 0.9), quick, slow)
        self.swept = SweptByLength(window=100_000)
        self.experience = Experience(LIMITS, swept=self.swept)
        self.whole = np.full(TASKS, np.nan)
        self.in_time: list[list[bool]] = [[] for _ in range(TASKS)]
        self.trained: list[bool] = []
        self.step = 0
        self.run()

    def run(self) -> None:
        admitted, now = 0, 0
        arriving: list[tuple[int, int, int, int]] = []
        while admitted < TASKS or arriving:
            while (
                admitted < TASKS
                and replay(self.experience, f"g{admitted}", "deduction", str(admitted), "s", now) is None
            ):
                for attempt in range(ATTEMPTS):
                    done = now + int(self.ticks[admitted, attempt])
                    heapq.heappush(arriving, (done, admitted, attempt, self.step))
                admitted += 1
            now += 1
            while arriving and arriving[0][0] <= now:
                self.arrive(*heapq.heappop(arriving)[1:])
            self.learn()

    def arrive(self, task: int, attempt: int, made_at: int) -> None:
        right = bool(self.right[task, attempt])
        if self.step - made_at <= LIMITS.max_staleness:
            self.in_time[task].append(right)
        sample = Sample(
            id=f"g{task}#{attempt}",
            group=f"g{task}",
            cell=SOLVE,
            tokens=int(self.ticks[task, attempt]),
            versions=(Version(0, made_at),),
            correct=right,
        )
        for rated in self.experience.attempt_many([sample]):
            self.whole[int(rated.task)] = rated.rating.correct / rated.rating.attempts

    def learn(self) -> None:
        batch = self.experience.take(Version(0, self.step), PLAN)
        if isinstance(batch, Batch):
            self.trained += [item.sample.correct for item in batch.items]
            self.experience.commit(batch.consumer)
            self.step += 1
            self.experience.publish(Version(0, self.step))

    @property
    def naive(self) -> np.ndarray:
        return np.array([np.mean(kept) if kept else np.nan for kept in self.in_time])

    def bias(self, estimate: np.ndarray) -> tuple[float, float]:
        """Mean error against the truth, and its standard error."""
        error = (estimate - self.truth)[~np.isnan(estimate)]
        return float(error.mean()), float(error.std() / np.sqrt(len(error)))


@pytest.fixture(scope="module")
def slow() -> Simulation:
    return Simulation(slow=60)


def test_every_task_gets_its_rate_from_all_of_its_attempts(slow: Simulation) -> None:
    assert np.array_equal(slow.whole, slow.right.mean(axis=1))


def test_length_does_not_bias_the_rates_of_whole_groups(slow: Simulation) -> None:
    bias, error = slow.bias(slow.whole)
    assert abs(bias) < 3 * error


def test_rating_by_what_comes_in_time_is_too_rosy(slow: Simulation) -> None:
    bias, error = slow.bias(slow.naive)
    assert bias > 4 * error
    assert bias > 0.02


def test_the_alarm_tells_that_long_answers_are_vanishing_from_training(slow: Simulation) -> None:
    assert slow.swept.shares()[3] > StalenessConfig().sweep_alarm
    assert np.mean(slow.trained) > slow.truth.mean() + 0.03


def test_where_nothing_is_overtaken_both_ways_agree_and_the_alarm_is_quiet() -> None:
    calm = Simulation(slow=4)
    assert np.array_equal(calm.naive, calm.whole)
    assert max(calm.swept.shares()) <= StalenessConfig().sweep_alarm
    assert len(calm.trained) >= 0.95 * TASKS * ATTEMPTS
