"""A buffer split over shards does what one buffer does."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from azr.buffers import Estimate, TaskBuffer, shard_of
from azr.config.sections.buffers import BuffersConfig
from azr.game.types import Task
from tests.buffers.tasks import names, task


def test_a_key_has_one_shard_everywhere() -> None:
    # Fixed numbers: another process, machine or version of Python must find the task in the same place.
    assert [shard_of(key, 3) for key in ("", "a", "program-7", "\ud800")] == [0, 2, 2, 2]
    assert [shard_of(key, 1000) for key in ("", "a", "program-7")] == [876, 343, 764]
    assert {shard_of(f"key-{number}", 1) for number in range(50)} == {0}


def test_keys_spread_evenly() -> None:
    counts = np.bincount([shard_of(f"program-{number}", 3) for number in range(6000)], minlength=3)
    assert stats.chisquare(counts).pvalue > 0.001


class Shards:
    """A task service in small: a buffer a shard, each call to the shard of its key."""

    def __init__(self, count: int) -> None:
        self.turn = 0
        self.buffers = [TaskBuffer(BuffersConfig(capacity=1024), np.random.default_rng(seed)) for seed in range(count)]

    def of(self, one: Task) -> TaskBuffer:
        return self.buffers[shard_of(one.normal_form, len(self.buffers))]

    def draw(self, count: int) -> list[Task]:
        """From the shards in turn, as players do."""
        drawn: list[Task] = []
        for _ in range(count):
            self.turn += 1
            drawn += self.buffers[self.turn % len(self.buffers)].draw_replay(1)
        return drawn


@pytest.mark.parametrize("count", [1, 3])
def test_shards_hold_each_task_once_and_draw_in_proportion_to_priority(count: int) -> None:
    shards = Shards(count)
    tasks = [task(number, program=number // 2) for number in range(60)]
    for one in [*tasks, *tasks[::3]]:
        shards.of(one).add(one)
    assert sum(map(len, shards.buffers)) == 60, "duplicates meet in one shard"
    for one in tasks:
        shards.of(one).rate_many([Estimate(one.id, 4 if names([one])[0] < 30 else 0, 8, 0)])
    drawn = np.zeros(60)
    for _ in range(150):
        for one in shards.draw(8):
            drawn[names([one])[0]] += 1
            shards.of(one).give_back([one.id])
    halves = np.array([drawn[:30].sum(), drawn[30:].sum()])
    # 8 at a time without repetition favour the low a little: 0.9 against 17/90 is 0.83 to 0.17 one at a time.
    assert 0.76 < halves[0] / halves.sum() < 0.84
    assert drawn.min() > 0
