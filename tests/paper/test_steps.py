"""Step after step under `algorithm=paper`: solvers get the tasks of the step before, whoever is quicker within a step.

Played through the experience and the buffers as the services do, one actor at a time in random order:

    next_work ─► propose ─► add, judge ─► 8 estimates ─► rate       (valid: six of eight)
            └──► draw ─► replay ─► one attempt ─► rate ─► take ─► commit ─► advance ─► publish ─► the next step
"""

from __future__ import annotations

import random

import numpy as np
import pytest

from azr.buffers import Estimate, TaskBuffer
from azr.config.load import load
from azr.game.batch import BatchPlan
from azr.game.types import Cell, Task, Version
from azr.ledger.events import Group
from azr.ledger.experience import Batch, Experience
from azr.ledger.ledger import Sample
from azr.ledger.work import ToAttempt, ToPropose, Work
from azr.staleness.admission import Limits
from tests.ledger.play import replay

CONFIG = load([], ["algorithm=paper", "algorithm.batch.propose=8", "algorithm.batch.solve=8"])
TYPES = CONFIG.algorithm.game.task_types
SEEDS, STEPS = 20, 4


def task(kind: str, number: int, step: int) -> Task:
    name = f"{kind}/{step}.{number}"
    return Task(
        id=name,
        task_type=kind,
        program=name,
        inputs=("1",),
        outputs=("1",),
        normal_form=name,
        fingerprint=name,
        born=Version(0, step),
    )


class Run:
    """A synchronous run, and what its solvers were given in each step."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.experience = Experience(Limits.of(CONFIG.algorithm, CONFIG.staleness))
        self.buffers = {kind: TaskBuffer(CONFIG.buffers, np.random.default_rng(seed)) for kind in TYPES}
        for kind, buffer in self.buffers.items():
            buffer.add_many([task(kind, number, -1) for number in range(SEEDS)])
        self.step = self.names = 0
        self.given: list[dict[str, list[Task]]] = []
        self.proposed: list[dict[str, list[Task]]] = []

    def play(self) -> None:
        plan = BatchPlan.of(CONFIG.algorithm)
        for _ in range(STEPS):
            self.given.append({kind: [] for kind in TYPES})
            self.proposed.append({kind: [] for kind in TYPES})
            while not isinstance(batch := self.experience.take(Version(0, self.step), plan), Batch):
                self.names += 1
                roles = self.random.choice((["propose"], ["solve"]))
                for work in self.experience.next_work("actor", [f"g{self.names}"], 0.0, roles=roles):  # type: ignore[arg-type]
                    self.follow(work)
            assert len(batch.items) == 6 * 8
            self.experience.commit(batch.consumer)
            self.step += 1
            for buffer in self.buffers.values():
                buffer.advance(self.step)
            self.experience.publish(Version(0, self.step))

    def follow(self, work: Work) -> None:
        if isinstance(work, ToAttempt):
            self.attempt(work.group)
        elif isinstance(work, ToPropose):
            so_far = self.proposed[self.step][work.task_type]
            valid = int(work.group[1:]) % 4 != 0
            made = task(work.task_type, len(so_far), self.step) if valid else None
            if made is not None:
                so_far.append(made)
                assert self.buffers[work.task_type].add(made, out=CONFIG.algorithm.rating.trained)
            self.experience.judge_many([(self.sample(f"{work.group}#0", "propose", work), made.id if made else None)])
        else:
            (drawn,) = self.buffers[work.task_type].draw(1, CONFIG.algorithm.batch.replay_share)
            self.given[self.step][work.task_type].append(drawn)
            assert replay(self.experience, work.group, work.task_type, drawn.id, "actor", 0.0) is None
            self.attempt(self.experience.book.group(work.group))

    def attempt(self, group: Group) -> None:
        samples = [self.sample(name, "solve", ToPropose(group.id, group.task_type)) for name in group.awaited]
        for rated in self.experience.attempt_many(samples):
            estimate = Estimate(rated.task, rated.rating.correct, rated.rating.attempts, self.step)
            self.buffers[group.task_type].rate_many([estimate])

    def sample(self, name: str, role: str, work: ToPropose) -> Sample:
        cell = Cell.of(f"{work.task_type}/{role}")
        made = (Version(0, self.step),)
        return Sample(id=name, group=work.group, cell=cell, tokens=1, versions=made, correct=self.random.random() < 0.5)


@pytest.fixture(scope="module", params=range(5))
def run(request: pytest.FixtureRequest) -> Run:
    run = Run(request.param)
    run.play()
    return run


@pytest.mark.parametrize("kind", TYPES)
def test_the_first_step_solves_seeds(run: Run, kind: str) -> None:
    assert [one.born.step for one in run.given[0][kind]] == [-1] * 8


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("step", range(1, STEPS))
def test_every_other_step_solves_all_tasks_of_the_step_before_and_then_draws_from_what_was_there_before_it(
    run: Run, kind: str, step: int
) -> None:
    before = run.proposed[step - 1][kind]
    given = run.given[step][kind]
    assert before, "else this shows nothing"
    assert given[: len(before)] == before
    assert all(one.born.step < step for one in given[len(before) :])
    assert len(given) == 8


def test_what_fills_up_is_drawn_from_all_that_is_older(run: Run) -> None:
    born = {
        one.born.step - step
        for step in range(1, STEPS)
        for kind in TYPES
        for one in run.given[step][kind][len(run.proposed[step - 1][kind]) :]
    }
    assert min(born) < -1
    assert max(born) <= -1
    run.experience.assert_closed()
