"""Of a metric so many points are kept as a report shows, whatever came."""

from __future__ import annotations

import itertools
import math

import pytest

from azr.report.points import MOST_KEPT, Points, Thinning


def kept(points: Points, most: int = MOST_KEPT) -> Points:
    thinning = Thinning(most)
    for step, value in points:
        thinning.add(step, value)
    return thinning.points()


def numbered(count: int) -> Points:
    return [(float(step), 10.0 * step) for step in range(count)]


@pytest.mark.parametrize("count", [1, 2, MOST_KEPT])
def test_few_points_stay_what_they_are(count: int) -> None:
    assert kept(numbered(count)) == numbered(count)


def test_of_many_neighbours_become_their_mean_and_the_ends_stay() -> None:
    assert kept(numbered(7), most=5) == [(0.0, 0.0), (1.5, 15.0), (3.5, 35.0), (5.0, 50.0), (6.0, 60.0)]


@pytest.mark.parametrize("count", [MOST_KEPT + 2, 5000, 54_321])
def test_however_many_came_they_are_few_and_stand_for_equal_stretches(count: int) -> None:
    points = kept(numbered(count))
    assert MOST_KEPT // 2 < len(points) <= MOST_KEPT + 2
    assert (points[0], points[-1]) == (numbered(1)[0], (count - 1.0, 10.0 * (count - 1)))
    lengths = {round(after - before, 6) for (before, _), (after, _) in itertools.pairwise(points[1:-2])}
    assert len(lengths) == 1
    assert all(value == pytest.approx(10.0 * step) for step, value in points)


def test_numbers_whose_sum_is_none_have_a_mean() -> None:
    assert all(math.isfinite(value) for _, value in kept([(float(step), 1e308) for step in range(50)], most=5))
