"""Intrinsic terms that judge a proposal by itself, or against what was seen before."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azr.game.rewards import Answer
from azr.game.rewards.answer_diversity import AnswerDiversity, AnswerTypeDiversity, Counts, digest
from azr.game.rewards.complexity import Complexity
from azr.game.rewards.edit_distance import EditDistance, common_subsequences, distances
from azr.game.rewards.halstead import Halstead, halstead
from azr.game.rewards.term import MAX_TOKENS, RatedProposal, Remembering, Term
from tests.rewards.examples import facts, rated

ONE, TWO, THREE = Answer("int", "1"), Answer("int", "2"), Answer("int", "3")
WORD, PAIR = Answer("str", "'a'"), Answer("tuple", "(1, 2)")


def table(first: list[str], second: list[str]) -> int:
    """Longest common subsequence by the textbook's table."""
    rows = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, one in enumerate(first):
        for j, other in enumerate(second):
            rows[i + 1][j + 1] = rows[i][j] + 1 if one == other else max(rows[i][j + 1], rows[i + 1][j])
    return rows[-1][-1]


class TestComplexity:
    def test_is_cognitive_complexity_over_fifteen(self) -> None:
        assert Complexity().values([rated(of=facts(cognitive=6)), rated(of=facts(cognitive=30))]) == [0.4, 2.0]

    def test_the_scale_is_an_option(self) -> None:
        assert Complexity(scale=3.0).values([rated(of=facts(cognitive=6))]) == [2.0]

    def test_a_scale_of_zero_is_refused(self) -> None:
        with pytest.raises(ValueError, match="positive"):
            Complexity(scale=0.0)

    def test_missing_facts_are_asked_for_by_name(self) -> None:
        with pytest.raises(ValueError, match="`complexity` needs the facts"):
            Complexity().values([RatedProposal(valid=True, right=1, attempts=2)])


class TestHalstead:
    def test_mixes_effort_branching_and_volume_as_published(self) -> None:
        # 0.5·(2000/10000) + 0.3·(4/10) + 0.2·(100/500) = 0.1 + 0.12 + 0.04.
        assert halstead(facts(effort=2000.0, cyclomatic=4, volume=100.0)) == pytest.approx(0.26)

    def test_each_part_is_full_at_its_own_bound(self) -> None:
        assert halstead(facts(effort=2e4, cyclomatic=0, volume=0.0)) == pytest.approx(0.5)
        assert halstead(facts(effort=0.0, cyclomatic=20, volume=0.0)) == pytest.approx(0.3)
        assert halstead(facts(effort=0.0, cyclomatic=0, volume=1e3)) == pytest.approx(0.2)

    def test_judges_a_batch_in_order(self) -> None:
        batch = [rated(of=facts(cyclomatic=10)), rated(of=facts(cyclomatic=0))]
        assert Halstead().values(batch) == pytest.approx([0.3, 0.0])


class TestEditDistance:
    @given(
        st.lists(st.sampled_from("abc"), max_size=9),
        st.lists(st.lists(st.sampled_from("abcd"), max_size=9), max_size=4),
    )
    def test_the_one_pass_form_agrees_with_the_textbook_table(
        self, program: list[str], others: list[list[str]]
    ) -> None:
        assert common_subsequences(program, others) == [table(program, other) for other in others]

    def test_by_hand(self) -> None:
        # "a b c d" and "b d e": common "b d", so 1 - 2·2/(4+3) = 3/7.
        assert distances(["a", "b", "c", "d"], [["b", "d", "e"]]) == pytest.approx([3 / 7])

    def test_is_zero_for_equal_one_for_disjoint_and_zero_for_two_empty(self) -> None:
        assert distances(list("abc"), [list("abc"), list("xyz"), []]) == [0.0, 1.0, 1.0]
        assert distances([], [[]]) == [0.0]

    def test_what_lies_beyond_the_bound_is_not_looked_at(self) -> None:
        head = ["x"] * MAX_TOKENS
        assert distances([*head, "a"], [[*head, "b"]]) == [0.0]

    def test_is_the_mean_over_references(self) -> None:
        proposal = rated(of=facts("ab"), references=[facts("ab"), facts("cd")])
        assert EditDistance().values([proposal]) == [0.5]

    def test_without_references_nothing_was_there_to_copy(self) -> None:
        assert EditDistance().values([rated()]) == [1.0]


class TestAnswerDiversity:
    def test_the_first_answer_of_all_is_as_rare_as_can_be(self) -> None:
        assert AnswerDiversity().values([rated(answers=[ONE])]) == [1.0]

    def test_flat_is_one_minus_the_share_among_all_values(self) -> None:
        term = AnswerDiversity()
        term.values([rated(answers=[answer]) for answer in (ONE, ONE, TWO, WORD)])
        assert term.values([rated(answers=[answer]) for answer in (ONE, TWO, PAIR)]) == [0.5, 0.75, 1.0]

    def test_hierarchical_is_the_mean_of_type_and_value_rarity(self) -> None:
        term = AnswerTypeDiversity()
        term.values([rated(answers=[answer]) for answer in (ONE, ONE, TWO, WORD)])
        # 1: type 1 - 3/4, in it 1 - 2/3. 'a': type 1 - 1/4, in it 1 - 1/1. A new int: 1/4 and 1. A tuple: both 1.
        answers = (ONE, WORD, THREE, PAIR)
        assert term.values([rated(answers=[answer]) for answer in answers]) == pytest.approx(
            [(1 / 4 + 1 / 3) / 2, (3 / 4 + 0) / 2, (1 / 4 + 1) / 2, 1.0]
        )

    def test_a_batch_is_judged_against_what_came_before_it_and_counted_after(self) -> None:
        term = AnswerDiversity()
        assert term.values([rated(answers=[ONE]), rated(answers=[ONE])]) == [1.0, 1.0]
        assert term.values([rated(answers=[ONE])]) == [0.0]

    def test_several_answers_count_by_their_mean_and_none_as_zero(self) -> None:
        term = AnswerDiversity()
        term.values([rated(answers=[ONE])])
        assert term.values([rated(answers=[ONE, TWO]), rated(answers=[])]) == [0.5, 0.0]

    def test_a_full_memory_halves_its_counts_and_forgets_what_was_seen_once(self) -> None:
        counts = Counts(capacity=2)
        for answer in (ONE, ONE, ONE, ONE, TWO, WORD):
            counts.add(answer)
        # Three distinct values are too many: 4 becomes 2, the two single ones leave, and with them the type str.
        assert counts.types == {"int": {digest("1"): 2}}
        assert (counts.totals, counts.total, counts.distinct) == ({"int": 2}, 2, 1)

    def test_memory_stays_bounded_however_much_is_seen(self) -> None:
        counts = Counts(capacity=100)
        draw = random.Random(0)
        for _ in range(5000):
            counts.add(Answer("int", str(draw.randrange(10**9))))
        assert counts.distinct <= 100
        assert counts.distinct == sum(map(len, counts.types.values()))

    def test_a_long_value_takes_no_more_room_than_a_short_one_and_any_text_has_its_place(self) -> None:
        counts = Counts()
        for key in ("x" * 10**6, "\ud800", ""):
            counts.add(Answer("str", key))
            counts.add(Answer("str", key))
        assert sorted(counts.types["str"].values()) == [2, 2, 2]
        assert all(0 <= remembered < 2**64 for remembered in counts.types["str"])

    @pytest.mark.parametrize("kind", [AnswerDiversity, AnswerTypeDiversity])
    def test_the_memory_survives_a_checkpoint(self, kind: type[AnswerDiversity]) -> None:
        term, restored = kind(), kind()
        term.values([rated(answers=[ONE, WORD]), rated(answers=[ONE])])
        restored.restore(term.to_bytes())
        batch = [rated(answers=[answer]) for answer in (ONE, TWO, WORD, PAIR)]
        assert restored.values(batch) == term.values(batch)


def test_terms_keep_their_protocols() -> None:
    for term in (Complexity(), Halstead(), EditDistance(), AnswerDiversity(), AnswerTypeDiversity()):
        assert isinstance(term, Term)
        assert isinstance(term, Remembering) == isinstance(term, AnswerDiversity)
