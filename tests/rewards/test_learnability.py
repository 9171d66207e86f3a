"""Learnability: numbers by hand, bias by enumeration over all outcomes in exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest

from azr.config.sections.algorithm_rules import LEARNABILITIES as KNOWN_TO_CONFIGURATION
from azr.game.rewards.learnability import LEARNABILITIES, min_p, one_minus_mean, target_rate, variance


def expectation(values: list[Fraction], rate: Fraction) -> Fraction:
    """Of values[k] when each of n attempts succeeds with probability `rate`."""
    attempts = len(values) - 1
    return sum(
        (
            Fraction(comb(attempts, right)) * rate**right * (1 - rate) ** (attempts - right) * values[right]
            for right in range(attempts + 1)
        ),
        Fraction(0),
    )


@pytest.mark.parametrize("attempts", [2, 3, 4, 8, 16])
def test_variance_is_unbiased_for_four_p_one_minus_p(attempts: int) -> None:
    # 4k(n-k)/(n(n-1)) in fractions, checked against the float first, so that it is the code's formula that is judged.
    exact = [Fraction(4 * right * (attempts - right), attempts * (attempts - 1)) for right in range(attempts + 1)]
    assert [variance(right, attempts) for right in range(attempts + 1)] == pytest.approx([float(e) for e in exact])
    for tenth in range(11):
        rate = Fraction(tenth, 10)
        assert expectation(exact, rate) == 4 * rate * (1 - rate)


def test_the_plug_in_estimate_is_biased_by_one_in_n_and_variance_is_not() -> None:
    # n = 8, p = 1/2: plug-in 4(k/8)(1-k/8) has expectation 7/8.
    plug_in = [Fraction(4 * right * (8 - right), 64) for right in range(9)]
    assert expectation(plug_in, Fraction(1, 2)) == Fraction(7, 8)


def test_paying_minus_one_half_at_the_extremes_makes_variance_biased() -> None:
    # n = 2, p = 1/2: outcomes 0, 1, 2 have 1/4, 1/2, 1/4; values -1/2, 2, -1/2 average 3/4 and not 1.
    assert expectation([Fraction(-1, 2), Fraction(2), Fraction(-1, 2)], Fraction(1, 2)) == Fraction(3, 4)


def test_variance_by_hand() -> None:
    # n = 8: 4·1·7/56 = 1/2, 4·4·4/56 = 8/7, 4·2·6/56 = 6/7.
    assert [variance(k, 8) for k in (0, 1, 2, 4, 7, 8)] == pytest.approx([0.0, 0.5, 6 / 7, 8 / 7, 0.5, 0.0])


@pytest.mark.parametrize("attempts", [0, 1])
def test_variance_of_fewer_than_two_attempts_is_refused(attempts: int) -> None:
    with pytest.raises(ValueError, match="needs two attempts"):
        variance(0, attempts)


def test_one_minus_mean_pays_most_for_one_lucky_attempt_and_nothing_for_none() -> None:
    assert [one_minus_mean(k, 8) for k in (0, 1, 4, 7, 8)] == [0.0, 0.875, 0.5, 0.125, 0.0]


def test_min_p_is_symmetric_and_peaks_at_one_half() -> None:
    assert [min_p(k, 8) for k in range(9)] == [0.0, 0.125, 0.25, 0.375, 0.5, 0.375, 0.25, 0.125, 0.0]


def test_target_rate_falls_linearly_from_one_at_the_target() -> None:
    # t = 1/4, so max(t, 1-t) = 3/4. k = 2: 1; k = 1: 1 - (1/8)/(3/4) = 5/6; k = 5: 1 - (3/8)/(3/4) = 1/2.
    assert [target_rate(k, 8, 0.25) for k in (1, 2, 5)] == pytest.approx([5 / 6, 1.0, 0.5])
    # t = 3/4 is its mirror image.
    assert [target_rate(k, 8, 0.75) for k in (7, 6, 3)] == pytest.approx([5 / 6, 1.0, 0.5])


@pytest.mark.parametrize("name", sorted(LEARNABILITIES))
@pytest.mark.parametrize("attempts", [2, 8])
@pytest.mark.parametrize("target", [0.3, 0.7])
def test_none_right_and_all_right_are_worth_nothing(name: str, attempts: int, target: float) -> None:
    assert LEARNABILITIES[name](0, attempts, target) == 0.0
    assert LEARNABILITIES[name](attempts, attempts, target) == 0.0
    assert all(LEARNABILITIES[name](right, attempts, target) > 0.0 for right in range(1, attempts))


def test_the_configuration_knows_the_same_names() -> None:
    assert set(KNOWN_TO_CONFIGURATION) == set(LEARNABILITIES)
