"""The formulas of priority, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from azr.buffers import priority

#: For numbers worked out by hand.
CLOSE = 1e-12


@pytest.mark.parametrize(
    ("right", "wrong", "expected"),
    [
        (4, 4, 0.9),  # a = b = 4.5: 4 · 20.25 / (9 · 10)
        (0, 8, 17 / 90),  # a = 0.5, b = 8.5: 4 · 4.25 / (9 · 10)
        (8, 0, 17 / 90),
        (1, 7, 0.5),  # a = 1.5, b = 7.5: 4 · 11.25 / 90
        (0, 0, 0.5),  # a = b = 0.5: 4 · 0.25 / (1 · 2)
        (1, 0, 0.5),  # a = 1.5, b = 0.5: 4 · 0.75 / (2 · 3)
    ],
)
def test_learnability_of_fresh_evidence(right: int, wrong: int, expected: float) -> None:
    assert float(priority.learnability(right, wrong, 0, 32.0)) == pytest.approx(expected, abs=CLOSE)


def test_evidence_counts_half_after_a_half_life() -> None:
    assert priority.discount([0, 32, 64, 96], 32.0).tolist() == [1.0, 0.5, 0.25, 0.125]
    aged = priority.learnability(8, 0, 32, 32.0)
    assert float(aged) == pytest.approx(float(priority.learnability(4, 0, 0, 32.0)), abs=CLOSE)
    # a = 4.5, b = 0.5: 4 · 2.25 / (5 · 6)
    assert float(aged) == pytest.approx(0.3, abs=CLOSE)


def test_evidence_from_a_step_ahead_of_the_clock_counts_in_full() -> None:
    assert priority.discount([-5], 32.0).tolist() == [1.0]


def test_with_age_the_hopeless_get_a_second_chance_and_the_ideal_must_prove_itself_anew() -> None:
    ages = np.array([0, 25, 50, 100])
    hopeless = priority.learnability(np.zeros(4), np.full(4, 8.0), ages, 32.0)
    ideal = priority.learnability(np.full(4, 4.0), np.full(4, 4.0), ages, 32.0)
    assert np.all(np.diff(hopeless) > 0)
    assert np.all(np.diff(ideal) < 0)
    for right, wrong in ((0.0, 8.0), (8.0, 0.0), (4.0, 4.0)):
        assert float(priority.learnability(right, wrong, 10_000, 32.0)) == pytest.approx(0.5)


def test_learnability_is_highest_at_one_half_and_never_zero() -> None:
    right = np.arange(101.0)
    values = priority.learnability(right, 100 - right, 0, 32.0)
    assert int(values.argmax()) == 50
    assert values.min() > 0.0
    assert values.max() < 1.0
    assert np.allclose(values, values[::-1])


def test_learnability_is_the_expectation_under_its_posterior() -> None:
    drawn = np.random.default_rng(0).beta(3.5, 6.5, 200_000)
    assert float(priority.learnability(3, 6, 0, 1.0)) == pytest.approx(
        float((4 * drawn * (1 - drawn)).mean()), abs=2e-3
    )


def test_copies_share_the_attention_of_their_program() -> None:
    assert priority.novelty([1, 4, 100], 0.5).tolist() == pytest.approx([1.0, 0.5, 0.1])
    assert priority.novelty([1, 4, 100], 0.0).tolist() == [1.0, 1.0, 1.0]


def test_visits_wear_a_task_out() -> None:
    assert priority.freshness([0, 3, 99], 0.5).tolist() == pytest.approx([1.0, 0.5, 0.1])
    assert priority.freshness([0, 3, 99], 0.0).tolist() == [1.0, 1.0, 1.0]


def test_references_fade_to_a_floor() -> None:
    assert priority.recency([0, 64, 128], 64.0, 0.1).tolist() == pytest.approx([1.0, 0.55, 0.325])
    assert float(priority.recency(1e6, 64.0, 0.1)) == pytest.approx(0.1)
    assert priority.recency([0, 1000], 64.0, 1.0).tolist() == [1.0, 1.0]
