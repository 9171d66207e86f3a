"""Admission: slots by cell, counted by hand."""

from __future__ import annotations

import pytest

from azr.config.sections.algorithm import AlgorithmConfig
from azr.config.sections.staleness import StalenessConfig
from azr.game.types import Cell
from azr.staleness.admission import Admission, Limits, Refusal, capacity

PROPOSE, SOLVE = Cell("deduction", "propose"), Cell("deduction", "solve")


def limits(**changes: object) -> Limits:
    base = Limits(max_staleness=1, propose=2, solve=8, attempts=4, replay_attempts=4, replay_share=0.5)
    return base._replace(**changes)  # type: ignore[arg-type]


def test_capacity_is_the_published_formula_with_trained_samples_taken_off_both_sides() -> None:
    # AReaL: (η + v + 1)·B − admitted. η = 2, v = 5, B = 10, 5·10 of 63 admitted are in the published weights.
    assert capacity(2, 10, 63 - 50) == (2 + 5 + 1) * 10 - 63
    assert capacity(0, 4, 0) == 4
    assert capacity(0, 4, 5) == -1


def test_a_proposal_brings_the_slots_of_its_rating() -> None:
    admission = Admission(limits())
    assert admission.refuses_proposal("deduction") is None
    admission.hold_proposal("deduction")
    assert (admission.outstanding(PROPOSE), admission.outstanding(SOLVE)) == (1, 4)
    assert (admission.free(PROPOSE), admission.free(SOLVE)) == (3, 12)


def test_a_full_propose_cell_refuses_and_says_what_to_wait_for() -> None:
    admission = Admission(limits())
    for _ in range(4):  # (1 + 1)·2
        assert admission.refuses_proposal("deduction") is None
        admission.hold_proposal("deduction")
    assert admission.refuses_proposal("deduction") == Refusal(PROPOSE, 0)


def test_cells_of_other_task_types_have_slots_of_their_own() -> None:
    admission = Admission(limits())
    for _ in range(4):
        admission.hold_proposal("deduction")
    assert admission.refuses_proposal("abduction") is None
    assert admission.outstanding(Cell("abduction", "solve")) == 0


def test_what_the_gate_refused_needs_no_rating() -> None:
    admission = Admission(limits())
    admission.hold_proposal("deduction")
    admission.release(SOLVE, 4)
    assert (admission.outstanding(PROPOSE), admission.outstanding(SOLVE)) == (1, 0)


def test_slots_in_training_come_free_only_when_the_weights_they_make_are_published() -> None:
    admission = Admission(limits(max_staleness=0))
    for _ in range(2):
        admission.hold_proposal("deduction")
    admission.train(PROPOSE, 2)
    admission.train(SOLVE, 8)
    assert admission.refuses_proposal("deduction") == Refusal(PROPOSE, 0)
    assert admission.refuses_replay("deduction") == Refusal(SOLVE, 0)
    admission.publish({PROPOSE: 2, SOLVE: 8})
    assert admission.refuses_proposal("deduction") is None
    assert admission.free(SOLVE) == 8


def test_replay_keeps_to_its_share_while_proposals_can_come() -> None:
    admission = Admission(limits(solve=16, replay_share=0.25))  # A quarter of 16 slots, one group a step: two at η = 1.
    for _ in range(2):
        assert admission.refuses_replay("deduction") is None
        admission.hold(SOLVE, 4, replay=True)
    assert admission.refuses_replay("deduction") == Refusal(SOLVE, 0)
    assert admission.free(SOLVE) == 24


def test_replay_leaves_the_slots_of_proposals_that_may_still_come() -> None:
    admission = Admission(limits(solve=12, replay_share=1.0))  # 24 slots; four proposals may come, with 4 each.
    for _ in range(2):
        assert admission.refuses_replay("deduction") is None
        admission.hold(SOLVE, 4, replay=True)
    assert admission.refuses_replay("deduction") == Refusal(SOLVE, 0)
    admission.hold_proposal("deduction")
    assert admission.refuses_replay("deduction") == Refusal(SOLVE, 0), "its slots were kept for it"
    admission.release(SOLVE, 4)
    assert admission.refuses_replay("deduction") is None, "the gate refused it: its slots are free for replay"


def test_replay_fills_the_next_batch_when_proposals_are_full_and_bring_nothing() -> None:
    admission = Admission(limits(replay_share=0.0))
    assert admission.refuses_replay("deduction") == Refusal(SOLVE, 0)
    for _ in range(4):
        admission.hold_proposal("deduction")
        admission.release(SOLVE, 4)
    for _ in range(2):
        assert admission.refuses_replay("deduction") is None
        admission.hold(SOLVE, 4, replay=True)
    assert admission.refuses_replay("deduction") == Refusal(SOLVE, -8)


def test_replay_gives_its_share_back_when_it_is_trained_on_or_dropped() -> None:
    admission = Admission(limits(max_staleness=0, solve=16, replay_share=0.25))
    admission.hold(SOLVE, 4, replay=True)
    assert admission.refuses_replay("deduction") == Refusal(SOLVE, 0)
    admission.release(SOLVE, 4, replay=True)
    assert admission.refuses_replay("deduction") is None
    admission.hold(SOLVE, 4, replay=True)
    admission.train(SOLVE, 4, replay=True)
    assert admission.refuses_replay("deduction") is None


def test_without_proposing_all_solve_slots_are_for_replay() -> None:
    assert limits(propose=0).replay_slots == 8
    assert limits(rating_trained=False, attempts=8).replay_slots == 8
    assert limits().replay_slots == 4
    assert limits(solve=12, replay_share=0.25).replay_slots == 0  # 3 slots are not a group of 4
    assert limits(solve=16, replay_share=0.25).replay_slots == 4


def test_estimates_that_are_thrown_away_take_no_slots() -> None:
    admission = Admission(limits(rating_trained=False, attempts=8))
    admission.hold_proposal("deduction")
    assert admission.outstanding(SOLVE) == 0
    assert admission.overdraft(SOLVE) == -16


def test_a_full_solve_cell_refuses_proposals_that_the_next_batch_does_not_lack() -> None:
    admission = Admission(limits())
    for _ in range(2):
        admission.hold_proposal("deduction")
    admission.hold(SOLVE, 8)
    assert admission.free(SOLVE) == 0
    assert admission.refuses_proposal("deduction") == Refusal(SOLVE, 0)


def test_a_full_solve_cell_is_overdrawn_for_proposals_that_the_next_batch_lacks() -> None:
    admission = Admission(limits())
    admission.hold_proposal("deduction")
    admission.hold(SOLVE, 12)
    assert admission.refuses_proposal("deduction") is None
    admission.hold_proposal("deduction")
    assert admission.free(SOLVE) == -4
    assert admission.overdraft(SOLVE) == -4  # four more could be overdrawn before anything is surplus
    assert admission.refuses_proposal("deduction") == Refusal(SOLVE, -4)


def test_a_batch_that_was_taken_back_holds_its_slots_as_before() -> None:
    admission = Admission(limits())
    admission.hold(SOLVE, 4, replay=True)
    admission.train(SOLVE, 4, replay=True)
    assert (admission.open(SOLVE), admission.outstanding(SOLVE)) == (0, 4)
    admission.untrain(SOLVE, 4, replay=True)
    assert (admission.open(SOLVE), admission.outstanding(SOLVE)) == (4, 4)
    admission.release(SOLVE, 4, replay=True)
    assert admission.outstanding(SOLVE) == 0


def test_slots_that_are_not_held_cannot_be_given_back_or_published() -> None:
    admission = Admission(limits())
    with pytest.raises(ValueError, match="1 slots of deduction/solve are given back, 0 are held"):
        admission.release(SOLVE, 1)
    with pytest.raises(ValueError, match="4 slots of deduction/solve are published, 0 were in training"):
        admission.publish({SOLVE: 4})


def test_a_miscount_is_noticed() -> None:
    admission, recount = Admission(limits()), Admission(limits())
    admission.assert_same(recount)
    admission.hold(SOLVE, 4)
    with pytest.raises(ValueError, match="the groups hold"):
        admission.assert_same(recount)
    admission.release(SOLVE, 4)
    admission.assert_same(recount)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"max_staleness": -1}, "0 is the synchronous system"),
        ({"attempts": 0}, "at least one attempt"),
        ({"replay_attempts": 0}, "at least one attempt"),
        ({"attempts": 2}, "groups must be of one size"),
        ({"solve": 10}, "no multiple of groups of 4"),
        ({"propose": 3}, "3 proposals bring 12 attempts a step, but only 8"),
    ],
)
def test_limits_under_which_no_batch_could_be_filled_are_refused(changes: dict[str, int], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Admission(limits(**changes))


def test_a_run_that_only_proposes_needs_no_solve_quota() -> None:
    Admission(limits(solve=0, rating_trained=False))


def test_the_quota_of_a_cell_is_that_of_its_role() -> None:
    admission = Admission(limits())
    assert (admission.quota(PROPOSE), admission.quota(SOLVE)) == (2, 8)


class TestWanted:
    def test_the_cell_with_the_least_of_its_quota_under_way_comes_first(self) -> None:
        types = ("deduction", "abduction")
        admission = Admission(limits(solve=16, replay_share=1.0, task_types=types))
        # Nothing is under way: the order of types, and proposing first.
        order = [Cell(name, role) for name in types for role in ("propose", "solve")]
        assert admission.wanted() == order
        admission.hold_proposal("deduction")  # 1 of 2 proposals, 4 of 16 attempts
        assert admission.wanted() == [*order[2:], SOLVE, PROPOSE]

    def test_cells_that_refuse_are_not_wanted(self) -> None:
        admission = Admission(limits(max_staleness=0))
        for _ in range(2):
            admission.hold_proposal("deduction")
        assert admission.wanted() == []

    def test_nobody_is_asked_to_propose_where_only_solving_is_trained(self) -> None:
        assert Admission(limits(propose=0)).wanted() == [SOLVE]


def test_limits_come_from_the_configuration() -> None:
    algorithm, staleness = AlgorithmConfig(), StalenessConfig(max_staleness=3)
    types = ("deduction", "abduction", "induction")
    expected = Limits(3, 64, 576, attempts=8, replay_attempts=8, replay_share=0.25, task_types=types)
    assert Limits.of(algorithm, staleness) == expected
    algorithm.rating.trained, algorithm.rating.attempts = False, 5
    assert Limits.of(algorithm, staleness)[3:7] == (5, 8, 0.25, False)


def test_without_proposers_nothing_is_admitted_to_propose() -> None:
    algorithm = AlgorithmConfig()
    algorithm.game.train_propose = False
    limits = Limits.of(algorithm, StalenessConfig())
    assert (limits.propose, limits.replay_slots) == (0, 576)


def test_a_configuration_that_could_never_fill_a_batch_is_refused() -> None:
    algorithm = AlgorithmConfig()
    algorithm.batch.propose = 100
    with pytest.raises(ValueError, match="raise the solve quota"):
        Limits.of(algorithm, StalenessConfig())
