"""What an engine may return by mistake never reaches a gradient, and is counted."""

from __future__ import annotations

import numpy as np
import pytest

from learner.screening import reason_to_drop, screen

GOOD = np.array([-0.5, -2.0], dtype=np.float32)


@pytest.mark.parametrize(
    ("tokens", "logprobs", "reason"),
    [
        (2, [-0.5, -2.0], None),
        (2, [0.0, -80.0], None),
        (2, [1e-3, -1.0], None),
        (2, [np.nan, -1.0], "nan_logprob"),
        (2, [-np.inf, -1.0], "infinite_logprob"),
        (2, [np.inf, -1.0], "infinite_logprob"),
        (2, [0.5, -1.0], "positive_logprob"),
        (3, [-0.5, -1.0], "length_mismatch"),
        (0, [], "empty_response"),
    ],
)
def test_each_defect_has_its_reason(tokens: int, logprobs: list[float], reason: str | None) -> None:
    assert reason_to_drop(tokens, np.array(logprobs, dtype=np.float32)) == reason


def test_the_good_ones_stay_in_order_and_the_others_are_told_with_their_reasons() -> None:
    bad = np.array([np.nan, -1.0], dtype=np.float32)
    result = screen([2, 2, 2, 0], [GOOD, bad, GOOD, np.zeros(0, dtype=np.float32)])
    assert result.kept == [0, 2]
    assert result.dropped == {1: "nan_logprob", 3: "empty_response"}


def test_lists_of_different_length_are_a_programming_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        screen([2, 2], [GOOD])
