"""The share swept by length."""

from __future__ import annotations

from azr.staleness.lengths import SweptByLength


def test_quartiles_are_of_the_samples_that_left_shortest_first() -> None:
    swept = SweptByLength()
    swept.observe([10, 20, 30, 40, 50, 60], swept=False)
    swept.observe([70, 15], swept=True)
    # Ranked: 10, 15s | 20, 30 | 40, 50 | 60, 70s
    assert swept.shares() == (0.5, 0.0, 0.0, 0.5)


def test_one_long_sample_of_a_hundred_in_its_quartile_is_a_share_of_a_hundredth() -> None:
    swept = SweptByLength()
    swept.observe(range(399), swept=False)
    swept.observe([1000], swept=True)
    assert swept.shares() == (0.0, 0.0, 0.0, 0.01)


def test_only_the_last_samples_are_looked_back_on() -> None:
    swept = SweptByLength(window=4)
    swept.observe([1, 2, 3, 4], swept=True)
    swept.observe([1, 2, 3, 4], swept=False)
    assert swept.shares() == (0.0, 0.0, 0.0, 0.0)


def test_before_anything_has_left_no_share_is_swept() -> None:
    swept = SweptByLength()
    assert swept.shares() == (0.0, 0.0, 0.0, 0.0)


def test_fewer_samples_than_quartiles_do_no_harm() -> None:
    swept = SweptByLength()
    swept.observe([5], swept=True)
    assert swept.shares() == (1.0, 0.0, 0.0, 0.0)
