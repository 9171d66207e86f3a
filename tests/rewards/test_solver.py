"""What an attempt earns."""

from __future__ import annotations

from typing import get_args

import pytest

from azr.config.sections.algorithm import SolverRewardConfig
from azr.game.reasons import TAG_REASONS, ParseReason
from azr.game.rewards import solver_reward
from azr.game.types import Verdict
from azr.game.verification import malformed

RIGHT = Verdict(correct=True, well_formed=True, reason="correct")
WRONG = Verdict(correct=False, well_formed=True, reason="wrong")
MALFORMED = Verdict(correct=False, well_formed=False, reason="malformed:no_answer_tag")


@pytest.mark.parametrize(("verdict", "reward"), [(RIGHT, 1.0), (WRONG, -0.5), (MALFORMED, -1.0)])
def test_right_wrong_and_malformed_earn_what_equation_six_says(verdict: Verdict, reward: float) -> None:
    assert solver_reward(verdict, truncated=False, config=SolverRewardConfig()) == reward


#: The reason, and what it earns where only tags count: an answer between right tags is at worst wrong.
UNREAD = {
    "thought_unfinished": -1.0,
    "no_answer_tag": -1.0,
    "answer_unfinished": -1.0,
    "empty_answer": -0.5,
    "not_literal": -0.5,
    "too_large": -0.5,
    "no_program": -0.5,
    "syntax": -0.5,
    "not_error_name": -0.5,
}


@pytest.mark.parametrize("reason", UNREAD)
def test_what_cannot_be_read_is_malformed_or_where_only_tags_count_wrong(reason: str) -> None:
    verdict = malformed(reason)
    assert solver_reward(verdict, truncated=False, config=SolverRewardConfig()) == -1.0
    published = SolverRewardConfig(malformed_means="tags")
    assert solver_reward(verdict, truncated=False, config=published) == UNREAD[reason]
    assert solver_reward(RIGHT, truncated=False, config=published) == 1.0
    assert solver_reward(WRONG, truncated=False, config=published) == -0.5


def test_the_reasons_of_tags_are_those_of_the_parser() -> None:
    assert set(get_args(ParseReason)) >= TAG_REASONS


@pytest.mark.parametrize("verdict", [RIGHT, WRONG, MALFORMED])
def test_a_truncated_response_counts_as_wrong_whatever_it_holds(verdict: Verdict) -> None:
    assert solver_reward(verdict, truncated=True, config=SolverRewardConfig()) == -0.5


def test_the_four_amounts_are_configured_apart() -> None:
    config = SolverRewardConfig(right=4.0, wrong=3.0, malformed=2.0, truncated=1.0)
    assert solver_reward(RIGHT, truncated=False, config=config) == 4.0
    assert solver_reward(WRONG, truncated=False, config=config) == 3.0
    assert solver_reward(MALFORMED, truncated=False, config=config) == 2.0
    assert solver_reward(RIGHT, truncated=True, config=config) == 1.0


@pytest.mark.parametrize("reason", ["retry", "crashed", "unreadable_expected", "unreadable_input"])
@pytest.mark.parametrize("truncated", [False, True])
def test_a_verdict_that_decides_nothing_earns_nothing_and_says_what_to_do(truncated: bool, reason: str) -> None:
    undecided = Verdict(correct=False, well_formed=True, reason=reason)
    with pytest.raises(ValueError, match=f"`{reason}` has no reward: verify it again, or drop its whole group"):
        solver_reward(undecided, truncated=truncated, config=SolverRewardConfig())
