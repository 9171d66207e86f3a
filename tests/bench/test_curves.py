"""Curves are thinned by means of equal stretches, and drawn with an arm a column."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from azr.bench import Report
from azr.bench.curves import MOST_POINTS, curve_of, smoothed, stretches, thinned, write_curves


def test_few_values_stay_as_they_are() -> None:
    assert thinned([3.0, 1.0, 2.0], 3) == (3.0, 1.0, 2.0)
    assert thinned([], 3) == ()


def test_many_become_means_of_stretches_that_leave_out_nobody() -> None:
    assert thinned([1.0, 3.0, 5.0, 7.0], 2) == (2.0, 6.0)
    assert stretches(7, 3) == [(0, 2), (2, 4), (4, 7)]
    assert stretches(1000)[-1][1] == 1000
    assert len(stretches(1000)) == MOST_POINTS


def test_what_nobody_told_is_left_out_of_a_mean_and_a_stretch_of_nothing_is_none() -> None:
    assert thinned([1.0, None, math.nan, None], 2) == (1.0, None)


def test_digits_that_mean_nothing_are_not_kept() -> None:
    assert thinned([1 / 3, 12345.6], 2) == (0.3333, 12350.0)


def test_a_curve_has_a_value_for_each_step() -> None:
    curve = curve_of("default", "seed 0", [1, 2, 3, 4], {"right": [0.0, 1.0, 1.0, 2.0]}, most=2)
    assert (curve.x, curve.values) == ((1.5, 3.5), {"right": (0.5, 1.5)})
    with pytest.raises(ValueError, match="right has 1 values for 2 steps"):
        curve_of("default", "seed 0", [1, 2], {"right": [0.0]})


def test_a_trend_is_the_mean_of_neighbours_and_passes_over_what_is_not_known() -> None:
    assert smoothed([0.0, 3.0, 6.0, None], reach=1) == (1.5, 3.0, 4.5, 6.0)
    assert smoothed([None, None], reach=1) == (None, None)


@pytest.mark.parametrize(("suffix", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_arms_that_tell_different_things_are_drawn_side_by_side(tmp_path: Path, suffix: str, begins: bytes) -> None:
    report = Report("demo", "azr bench demo")
    report.run({"arm": "one"}, curve_of("one", "seed 0", [1, 2], {"right": [0.0, None], "valid": [1.0, 1.0]}))
    report.run({"arm": "two"}, curve_of("two", "seed 0", [1, 2], {"right": [0.5, 0.5]}))
    write_curves(report.result(), path := tmp_path / f"curves.{suffix}")
    assert path.read_bytes().startswith(begins)
