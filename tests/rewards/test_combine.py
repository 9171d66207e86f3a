"""Caps and combination rules."""

from __future__ import annotations

import pytest

from azr.config.sections.algorithm_rules import COMBINATIONS as KNOWN_TO_CONFIGURATION
from azr.game.rewards.combine import COMBINATIONS, capped


@pytest.mark.parametrize(
    ("value", "coefficient", "cap", "expected"),
    [(0.4, 0.5, 0.5, 0.2), (2.0, 0.5, 0.5, 0.5), (0.4, -0.5, 0.5, -0.2), (2.0, -0.5, 0.3, -0.3), (1.0, 1.0, 0.0, 0.0)],
)
def test_a_term_is_weighed_then_held_to_its_cap_on_both_sides(
    value: float, coefficient: float, cap: float, expected: float
) -> None:
    assert capped(value, coefficient, cap) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("rule", "expected"),
    # L = 0.5, terms 0.2 and 0.3: 0.5 + 0.5, 0.5·0.06, 0.5 + 0.06, 0.5·0.5.
    [("sum", 1.0), ("multiply", 0.03), ("sum_multiply", 0.56), ("multiply_sum", 0.25)],
)
def test_combination_rules_by_hand(rule: str, expected: float) -> None:
    assert COMBINATIONS[rule](0.5, [0.2, 0.3]) == pytest.approx(expected)


def test_the_configuration_knows_the_same_rules() -> None:
    assert set(KNOWN_TO_CONFIGURATION) == set(COMBINATIONS)
