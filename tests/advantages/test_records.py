"""From trajectories to samples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from azr.advantages import Samples
from azr.game.types import Cell, Trajectory
from tests.advantages.examples import PROPOSE, SOLVE, samples


def trajectory(cell: Cell, group: str, reward: float, tokens: int) -> Trajectory:
    return Trajectory(
        id=f"{cell}{group}{reward}",
        cell=cell,
        group=group,
        prompt_ids=np.zeros(5, dtype=np.int32),
        response_ids=np.zeros(tokens, dtype=np.int32),
        behaviour_logprobs=np.zeros(tokens, dtype=np.float32),
        spans=(),
        reward=reward,
    )


def test_trajectories_become_columns_in_their_order() -> None:
    got = Samples.of(
        [
            trajectory(SOLVE, "a", 1.0, 3),
            trajectory(PROPOSE, "a", -1.0, 2),
            trajectory(SOLVE, "b", 0.5, 4),
            trajectory(SOLVE, "a", 0.0, 1),
        ]
    )
    assert got.cells == (SOLVE, PROPOSE)
    assert got.cell.tolist() == [0, 1, 0, 0]
    assert got.rewards.tolist() == [1.0, -1.0, 0.5, 0.0]
    assert got.lengths.tolist() == [3, 2, 4, 1]
    # A group's name is its own cell's business: "a" of another cell is another group.
    assert got.group.tolist() == [0, 1, 2, 0]


def test_no_trajectories_are_no_samples() -> None:
    empty = Samples.of([])
    assert len(empty) == 0
    assert empty.cells == ()


def test_choosing_renumbers_groups_and_keeps_cells() -> None:
    whole = samples((SOLVE, "a", 1.0, 1), (PROPOSE, "p", 0.0, 2), (SOLVE, "b", 3.0, 3))
    part = whole.only(np.array([False, False, True]))
    assert (part.cells, part.cell.tolist(), part.group.tolist()) == (whole.cells, [0], [0])
    assert (part.rewards.tolist(), part.lengths.tolist()) == ([3.0], [3])


def test_columns_of_different_lengths_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="lengths has 1 entries for 2 rewards"):
        Samples((SOLVE,), np.array([0, 0]), np.array([0, 0]), np.array([1.0, 2.0]), np.array([1]))


@pytest.mark.parametrize("reward", [math.nan, math.inf])
def test_a_reward_that_is_no_number_is_refused_with_its_place(reward: float) -> None:
    with pytest.raises(ValueError, match=r"sequences \[1\] are not finite"):
        samples((SOLVE, "a", 1.0, 1), (SOLVE, "a", reward, 1))
