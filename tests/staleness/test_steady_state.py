"""A run without mishaps wastes next to nothing: what is generated is trained on, in whatever order callers ask."""

from __future__ import annotations

import heapq
import random

import pytest

from azr.game.batch import BatchPlan, Quota
from azr.game.types import Cell, Version
from azr.ledger.experience import Batch, Experience
from azr.ledger.ledger import Sample
from azr.staleness.admission import Limits
from tests.ledger.play import next_group, propose, replay

PROPOSE, SOLVE = Cell("deduction", "propose"), Cell("deduction", "solve")
#: The default quotas, an eighth of them.
PLAN = BatchPlan((Quota(PROPOSE, 8), Quota(SOLVE, 9, 8)))
STEPS = 40


class Engine:
    """A number of lanes that are kept busy: ratings first, then what is admitted of the kinds in `order`."""

    def __init__(
        self, max_staleness: int, validity: float, order: str, lanes: int, train_ticks: int, publish_every: int = 1
    ) -> None:
        limits = Limits(max_staleness, 8, 72, attempts=8, replay_attempts=8, replay_share=0.25)
        self.experience = Experience(limits)
        self.validity = validity
        self.order = order
        self.lanes = lanes
        self.train_ticks = train_ticks
        self.publish_every = publish_every
        self.random = random.Random(0)
        self.running: list[tuple[int, str, Sample]] = []
        self.now = self.names = self.waited = 0

    def run(self) -> float:
        """Share of the samples that left which were trained on."""
        step, done_at = 0, -1
        while step < STEPS:
            self.now += 1
            assert self.now < 20_000, "the learner waits for ever"
            self.finish()
            self.fill_lanes()
            if done_at < 0:
                if isinstance(self.experience.take(Version(0, step), PLAN), Batch):
                    done_at = self.now + self.train_ticks
                else:
                    self.waited += 1
            elif self.now >= done_at:
                self.experience.commit(Version(0, step))
                step, done_at = step + 1, -1
                if step % self.publish_every == 0:
                    self.experience.publish(Version(0, step))
        self.experience.assert_closed()
        accounts = self.experience.book.ledger.accounts.values()
        trained = sum(account.trained.samples for account in accounts)
        gone = sum(count.samples for account in accounts for count in account.discarded.values())
        return trained / (trained + gone)

    def finish(self) -> None:
        while self.running and self.running[0][0] <= self.now:
            sample = heapq.heappop(self.running)[2]
            if sample.cell == PROPOSE:
                self.experience.judge_many([(sample, "task" if self.random.random() < self.validity else None)])
            else:
                self.experience.attempt_many([sample])

    def fill_lanes(self) -> None:
        while len(self.running) < self.lanes:
            work = self.next_work()
            if work is None:
                return
            cell, names = work
            for name in names:
                made = (self.experience.book.published,)
                sample = Sample(id=name, group=name.partition("#")[0], cell=cell, tokens=10, versions=made)
                heapq.heappush(self.running, (self.now + self.random.randint(2, 6), name, sample))

    def next_work(self) -> tuple[Cell, list[str]] | None:
        if (group := next_group(self.experience, "solver", self.now)) is not None:
            return group.cell, group.awaited
        self.names += 1
        name = f"g{self.names}"
        for kind in self.order:
            if kind == "p" and propose(self.experience, name, self.now):
                return PROPOSE, [f"{name}#0"]
            if kind == "r" and replay(self.experience, name, "deduction", "task", "actor", self.now) is None:
                return SOLVE, self.experience.book.group(name).awaited
        return None


@pytest.mark.parametrize("order", ["pr", "rp"], ids=["proposals first", "replay first"])
@pytest.mark.parametrize("max_staleness", [0, 1, 4])
@pytest.mark.parametrize("validity", [1.0, 0.3])
def test_at_least_95_in_100_samples_are_trained_on(max_staleness: int, validity: float, order: str) -> None:
    assert Engine(max_staleness, validity, order, lanes=64, train_ticks=10).run() >= 0.95


def test_a_bound_of_one_lets_generation_and_training_overlap_and_zero_does_not() -> None:
    synchronous, overlapped = Engine(0, 0.7, "pr", 64, 10), Engine(1, 0.7, "pr", 64, 10)
    synchronous.run()
    overlapped.run()
    assert synchronous.now > 1.5 * overlapped.now
    assert synchronous.waited / synchronous.now > 0.4
    assert overlapped.waited / overlapped.now < 0.1


@pytest.mark.parametrize("order", ["pr", "rp"], ids=["proposals first", "replay first"])
@pytest.mark.parametrize(("max_staleness", "publish_every"), [(2, 2), (4, 2), (4, 4), (16, 16)])
@pytest.mark.parametrize("validity", [1.0, 0.3])
def test_weights_that_are_published_every_few_steps_keep_the_learner_going_and_waste_little(
    max_staleness: int, publish_every: int, validity: float, order: str
) -> None:
    engine = Engine(max_staleness, validity, order, lanes=64, train_ticks=10, publish_every=publish_every)
    assert engine.run() >= 0.9
