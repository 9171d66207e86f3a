"""What proposals earn, all parts together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from azr.config.sections.algorithm import ProposerRewardConfig, TermConfig
from azr.game.rewards import Answer, ProposerReward, RatedProposal
from azr.game.rewards import registry as terms_by_name
from azr.game.rewards.proposer import asks_for_facts
from tests.rewards.examples import facts, rated


class Recording:
    """A term that counts how often it is made and asked, and answers what it is told to."""

    made = 0
    asked: list[int] = []  # noqa: RUF012 - shared on purpose, reset by the fixture

    def __init__(self, answer: float = 0.5) -> None:
        Recording.made += 1
        self.answer = answer

    def values(self, batch: Sequence[RatedProposal]) -> list[float]:
        Recording.asked.append(len(batch))
        return [self.answer] * len(batch)


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> type[Recording]:
    Recording.made, Recording.asked = 0, []
    monkeypatch.setitem(terms_by_name.BUILT_IN, "recording", Recording)
    return Recording


def reward_of(config: ProposerRewardConfig, *batch: RatedProposal) -> list[float]:
    return [judged.reward for judged in ProposerReward(config).rewards(batch)]


def test_by_default_learnability_is_the_reward() -> None:
    batch = [rated(4, 8), rated(1, 8), rated(0, 8), rated(8, 8), rated(valid=False)]
    assert reward_of(ProposerRewardConfig(), *batch) == pytest.approx([8 / 7, 0.5, 0.0, 0.0, -1.0])


def test_the_extremes_earn_what_is_configured_for_them_under_any_learnability() -> None:
    for learnability in ("variance", "one_minus_mean", "min_p", "target_rate"):
        config = ProposerRewardConfig(learnability=learnability, at_extremes=-0.5)
        assert reward_of(config, rated(0, 8), rated(8, 8)) == [-0.5, -0.5]


def test_the_target_rate_is_passed_on() -> None:
    config = ProposerRewardConfig(learnability="target_rate", target_rate=0.25)
    assert reward_of(config, rated(2, 8)) == [1.0]


def test_an_invalid_proposal_earns_its_amount_though_nobody_rated_it() -> None:
    config = ProposerRewardConfig(invalid=-2.0)
    assert reward_of(config, RatedProposal(valid=False)) == [-2.0]


def test_terms_are_added_to_learnability_and_told_apart() -> None:
    config = ProposerRewardConfig(
        terms={"complexity": TermConfig(coefficient=0.5, cap=0.1), "halstead": TermConfig(coefficient=1.0)}
    )
    (judged,) = ProposerReward(config).rewards([rated(4, 8, of=facts(cognitive=15, cyclomatic=5))])
    assert judged.terms == pytest.approx({"complexity": 0.1, "halstead": 0.15})
    assert judged.learnability == pytest.approx(8 / 7)
    assert judged.reward == pytest.approx(8 / 7 + 0.25)


def test_a_combination_rule_applies_to_the_capped_terms() -> None:
    config = ProposerRewardConfig(
        learnability="min_p",
        combination="multiply_sum",
        terms={"complexity": TermConfig(coefficient=0.5, cap=0.1), "halstead": TermConfig(coefficient=1.0)},
    )
    assert reward_of(config, rated(4, 8, of=facts(cognitive=15, cyclomatic=5))) == pytest.approx([0.5 * 0.25])


def test_without_terms_a_product_leaves_learnability_alone() -> None:
    config = ProposerRewardConfig(learnability="min_p", combination="multiply_sum")
    assert reward_of(config, rated(4, 8)) == [0.5]


def test_a_penalty_takes_away() -> None:
    config = ProposerRewardConfig(
        learnability="min_p", terms={"cluster_share": TermConfig(coefficient=-1.0, options={"distance": 0.3})}
    )
    batch = [rated(4, 8, of=facts(tokens)) for tokens in ("abcdef", "abcdef", "uvwxyz", "mnopqr")]
    assert reward_of(config, *batch) == [0.25, 0.25, 0.5, 0.5]


def test_only_valid_and_learnable_proposals_reach_the_terms(recording: type[Recording]) -> None:
    config = ProposerRewardConfig(learnability="min_p", terms={"recording": TermConfig(coefficient=1.0)})
    batch = [rated(valid=False), rated(0, 8), rated(4, 8), rated(8, 8), rated(2, 8)]
    assert reward_of(config, *batch) == [-1.0, 0.0, 1.0, 0.0, 0.75]
    assert recording.asked == [2]


PROGRAM_TERMS = ("complexity", "halstead", "edit_distance", "cluster_share")


@pytest.mark.parametrize("combination", ["sum", "multiply", "sum_multiply", "multiply_sum"])
def test_a_program_that_was_given_earns_its_proposer_nothing_and_costs_him_nothing(combination: str) -> None:
    terms = {name: TermConfig(coefficient=0.5) for name in PROGRAM_TERMS}
    config = ProposerRewardConfig(learnability="min_p", combination=combination, terms=terms)
    batch = [rated(4, 8, of=facts(cognitive=15), references=[facts()], program_given=True) for _ in range(3)]
    assert reward_of(config, *batch) == [0.5] * 3


def test_what_is_said_of_its_answers_counts_whoever_wrote_the_program(recording: type[Recording]) -> None:
    config = ProposerRewardConfig(
        learnability="min_p",
        terms={name: TermConfig(coefficient=0.1) for name in ("complexity", "answer_diversity", "recording")},
    )
    batch = [
        rated(of=facts(cognitive=15), answers=[Answer("int", "1")], program_given=given) for given in (True, False)
    ]
    given, own = ProposerReward(config).rewards(batch)
    assert given.terms == {"answer_diversity": 0.1, "recording": 0.05}
    assert own.terms == {"complexity": 0.1, "answer_diversity": 0.1, "recording": 0.05}
    assert recording.asked == [2], "a term of one's own judges every proposal, unless it says that it judges programs"


def test_copies_of_a_program_that_was_given_are_no_copies_of_those_who_wrote_it() -> None:
    config = ProposerRewardConfig(learnability="min_p", terms={"cluster_share": TermConfig(coefficient=-1.0)})
    batch = [rated(program_given=True), rated(program_given=True), rated(of=facts("abcdef")), rated(of=facts("uvwxyz"))]
    assert reward_of(config, *batch) == [0.5] * 4


def test_a_term_is_not_asked_about_nothing(recording: type[Recording]) -> None:
    config = ProposerRewardConfig(terms={"recording": TermConfig(coefficient=1.0)})
    assert reward_of(config, rated(valid=False), rated(0, 8)) == [-1.0, 0.0]
    assert reward_of(config) == []
    assert recording.asked == []


def test_a_disabled_term_costs_nothing_not_even_its_making(recording: type[Recording]) -> None:
    config = ProposerRewardConfig(terms={"recording": TermConfig(coefficient=0.0), "unknown": TermConfig()})
    assert reward_of(config, rated(4, 8)) == pytest.approx([8 / 7])
    assert (recording.made, recording.asked) == (0, [])


@pytest.mark.parametrize("answer", [math.nan, math.inf])
def test_a_term_that_gives_no_number_is_named(recording: type[Recording], answer: float) -> None:
    config = ProposerRewardConfig(terms={"recording": TermConfig(coefficient=1.0, options={"answer": answer})})
    with pytest.raises(ValueError, match="`recording` must give one finite value"):
        reward_of(config, rated(4, 8))


@pytest.mark.parametrize("combination", ["sum", "multiply", "sum_multiply", "multiply_sum"])
def test_what_a_term_gives_in_a_librarys_numbers_counts_in_pythons(
    monkeypatch: pytest.MonkeyPatch, combination: str
) -> None:
    """Metrics and records go into files that hold no others."""

    class Numpys:
        def values(self, batch: Sequence[RatedProposal]) -> Any:
            return np.full(len(batch), 0.5, np.float32)

    monkeypatch.setitem(terms_by_name.BUILT_IN, "numpys", Numpys)
    config = ProposerRewardConfig(
        learnability="min_p", combination=combination, terms={"numpys": TermConfig(coefficient=0.5)}
    )
    (judged,) = ProposerReward(config).rewards([rated(4, 8)])
    assert [type(value) for value in (judged.reward, *judged.terms.values())] == [float, float]
    assert judged.terms == {"numpys": 0.25}


@pytest.mark.parametrize("answer", [None, "much", 1j])
def test_a_term_that_fails_is_named_with_its_error(recording: type[Recording], answer: object) -> None:
    config = ProposerRewardConfig(terms={"recording": TermConfig(coefficient=1.0, options={"answer": answer})})
    with pytest.raises(ValueError, match=r"the reward term `recording` does not give one number .*Error: ") as failed:
        reward_of(config, rated(4, 8))
    assert isinstance(failed.value.__cause__, (TypeError, ValueError))


@pytest.mark.parametrize(("right", "attempts"), [(0, 0), (3, 2), (-1, 8)])
def test_a_valid_proposal_without_a_rating_is_an_error_that_says_what_to_wait_for(right: int, attempts: int) -> None:
    with pytest.raises(ValueError, match="not rated yet"):
        reward_of(ProposerRewardConfig(), rated(right, attempts))


def test_memories_of_terms_survive_a_checkpoint_and_those_of_terms_now_off_are_passed_over() -> None:
    terms = {name: TermConfig(coefficient=1.0) for name in ("answer_diversity", "complexity")}
    judge = ProposerReward(ProposerRewardConfig(terms=terms))
    proposal = rated(4, 8, answers=[Answer("int", "1")])
    judge.rewards([proposal])
    state = judge.to_state()
    assert set(state) == {"answer_diversity"}

    resumed = ProposerReward(ProposerRewardConfig(terms=terms))
    resumed.restore({**state, "gone": b"whatever"})
    assert resumed.rewards([proposal]) == judge.rewards([proposal])


def test_one_that_goes_back_to_before_its_first_batch_remembers_nothing() -> None:
    """One judge serves a whole run, and a step may be undone."""
    config = ProposerRewardConfig(learnability="min_p", terms={"answer_diversity": TermConfig(coefficient=1.0)})
    judge, proposal = ProposerReward(config), rated(4, 8, answers=[Answer("int", "1")])
    first = judge.rewards([proposal])
    assert judge.rewards([proposal]) != first
    judge.restore({})
    assert judge.rewards([proposal]) == first


def test_facts_are_asked_for_when_any_term_is_on_be_it_a_penalty() -> None:
    def asks(**coefficients: float) -> bool:
        terms = {name: TermConfig(coefficient=value) for name, value in coefficients.items()}
        return asks_for_facts(ProposerRewardConfig(terms=terms))

    assert not asks()
    assert not asks(complexity=0.0)
    assert asks(complexity=0.0, cluster_share=-0.1)
