"""The experience, move by move: groups stay whole, work comes back, batches are the same when asked for again."""

from __future__ import annotations

import pytest

from azr.game.batch import BatchPlan, Quota
from azr.game.types import Cell, Version
from azr.ledger.events import Rating
from azr.ledger.experience import Rated
from azr.ledger.ledger import LedgerError
from azr.ledger.taking import Shortage
from azr.staleness.admission import Refusal
from azr.staleness.bound import StalenessError
from tests.ledger.play import LIMITS, PLAN, PROPOSE, SOLVE, Play, next_group, propose, replay


def test_a_valid_proposal_waits_for_all_of_its_attempts() -> None:
    play = Play()
    play.propose("p")
    assert play.state("p") == "judged"
    assert play.rate("p", True) == []
    assert play.state("p") == "judged"
    assert play.attempt("p/rating", False) == [Rated("task of p", Rating(1, 2, Version(0, 0)))]
    assert play.state("p") == play.state("p/rating") == "ready"
    assert play.group("p").rating == Rating(1, 2, Version(0, 0))
    play.experience.assert_closed()


def test_what_the_gate_refused_is_trained_on_without_a_rating() -> None:
    play = Play()
    play.propose("p", valid=False)
    assert play.state("p") == "ready"
    assert next_group(play.experience, "solver", 0.0) is None
    assert play.experience.book.admission.outstanding(SOLVE) == 0


def test_who_did_not_hear_that_work_was_admitted_may_ask_again() -> None:
    play = Play()
    play.replay("r")
    assert propose(play.experience, "p")
    written = len(play.events)
    play.replay("r")
    assert propose(play.experience, "p", 5.0)
    assert len(play.events) == written
    assert play.experience.expire(10.0) == ["r"], "asking again is a sign of life"


def test_a_full_cell_refuses_and_names_itself() -> None:
    play = Play()
    play.propose("a", valid=False)
    play.propose("b", valid=False)
    assert not propose(play.experience, "c")
    for name in "wxyz":
        play.replay(name)
    assert replay(play.experience, "v", "deduction", "task", "solver", 0.0) == Refusal(SOLVE, 0)


def test_ratings_are_given_out_before_anything_else_in_the_order_of_proposals() -> None:
    play = Play()
    play.propose("a")
    play.propose("b")
    given = [next_group(play.experience, "solver", 0.0) for _ in range(3)]
    assert [group and group.id for group in given] == ["a/rating", "b/rating", None]


def test_a_batch_holds_whole_groups_and_exactly_the_quotas() -> None:
    play = Play()
    play.fill("1")
    batch = play.take()
    assert sorted(item.sample.id for item in batch.items) == ["p1#0", "p1/rating#0", "p1/rating#1", "r1#0", "r1#1"]
    assert {item.group.id for item in batch.items} == {"p1", "p1/rating", "r1"}


def test_while_anything_is_lacking_there_is_no_batch_and_the_answer_says_what() -> None:
    play = Play()
    assert play.experience.take(Version(0, 0), PLAN) == Shortage({PROPOSE: 1, SOLVE: 4})
    play.replay("r")
    play.attempt("r", True)
    assert play.experience.take(Version(0, 0), PLAN) == Shortage({PROPOSE: 1, SOLVE: 4}), "half a group is nothing"
    play.attempt("r", True)
    assert play.experience.take(Version(0, 0), PLAN) == Shortage({PROPOSE: 1, SOLVE: 2})


def test_the_oldest_weights_leave_first() -> None:
    play = Play()
    play.fill("1")
    play.replay("old")
    play.attempt("old", True, True)
    play.take()
    play.train()
    play.propose("new", valid=False)
    play.replay("young")
    play.attempt("young", True, True)
    play.replay("younger")
    play.attempt("younger", True, True)
    assert [item.group.id for item in play.take().items] == ["new", "old", "old", "young", "young"]


def test_the_same_step_is_given_the_same_batch_until_it_is_committed() -> None:
    play = Play()
    play.fill("1")
    batch = play.take()
    assert play.take() == batch
    play.experience.commit(Version(0, 0))
    play.experience.commit(Version(0, 0))
    assert play.experience.book.ledger.accounts[SOLVE].trained.samples == 4
    with pytest.raises(LedgerError, match=r"asked for step 0\.0, but the next is 0\.1"):
        play.take()


def test_steps_are_committed_in_order_and_only_with_a_batch() -> None:
    play = Play()
    with pytest.raises(LedgerError, match="step 0 is committed, but the next is 0"):
        play.experience.commit(Version(0, 0))
    play.fill("1")
    play.take(step=1)
    with pytest.raises(LedgerError, match="step 1 is committed, but the next is 0"):
        play.experience.commit(Version(0, 1))
    with pytest.raises(LedgerError, match="weights 1 are published"):
        play.experience.publish(Version(0, 1))


def test_publishing_twice_or_late_changes_nothing() -> None:
    play = Play()
    play.fill("1")
    play.take()
    play.train()
    written = len(play.events)
    play.experience.publish(Version(0, 1))
    play.experience.publish(Version(0, 0))
    assert len(play.events) == written


def test_a_group_too_old_is_swept_whole_though_one_of_its_samples_is_young() -> None:
    play = Play()
    play.replay("mixed")
    play.attempt("mixed", True)
    for name in "12":
        play.fill(name)
        play.take()
        play.train()
    play.attempt("mixed", True)  # The first attempt is of weights 0, the second of weights 2.
    assert isinstance(play.experience.take(play.version, PLAN), Shortage)
    assert play.discarded() == {"stale": 2}
    assert play.experience.swept.shares()[3] > 0.0


def test_a_proposal_is_as_old_as_the_oldest_attempt_that_rated_it() -> None:
    play = Play()
    assert propose(play.experience, "p")
    play.experience.judge_many([(play.sample("p#0", PROPOSE, False, Version(0, 3)), "task")])
    attempts = [play.sample(f"p/rating#{index}", SOLVE, True, Version(0, 2 + index)) for index in range(2)]
    play.experience.attempt_many(attempts)
    play.replay("r")
    play.version = Version(0, 3)
    play.attempt("r", True, True)
    proposal = next(item for item in play.take(step=3).items if item.group.id == "p")
    assert (proposal.sample.oldest, proposal.oldest) == (Version(0, 3), Version(0, 2))


def test_a_sample_of_weights_not_yet_made_stops_the_batch() -> None:
    play = Play()
    play.fill("1")
    play.propose("p", valid=False)
    play.experience.drop(["p1"], "for this test")
    play.group("p").versions = [Version(0, 5)]
    with pytest.raises(StalenessError, match=r"claims weights 0\.5"):
        play.take()


def test_silent_owners_lose_their_work_and_attempts_that_came_in_are_kept() -> None:
    play = Play()
    play.replay("r")
    play.attempt("r", True)
    assert play.experience.expire(9.0) == []
    assert play.experience.expire(10.0) == ["r"]
    group = next_group(play.experience, "another", 10.0)
    assert group is not None
    assert group.awaited == ["r#1"]
    assert play.attempt("r", True) == [Rated("task of r", Rating(2, 2, Version(0, 0)))]


def test_a_group_lost_too_often_is_poisoned_and_dropped_with_the_proposal_it_rates() -> None:
    play = Play(max_tries=2)
    play.propose("p")
    next_group(play.experience, "solver", 0.0)
    play.attempt("p/rating", True)
    play.experience.lost("p/rating")
    assert play.group("p/rating").tries == 1
    play.experience.lost("p/rating")
    assert play.experience.book.groups == {}
    assert play.discarded() == {"poisoned": 1}
    assert play.discarded(PROPOSE) == {"poisoned": 1}
    assert play.experience.book.admission.outstanding(SOLVE) == 0


def test_a_proposal_that_is_lost_is_simply_gone() -> None:
    play = Play()
    assert propose(play.experience, "p")
    assert play.experience.expire(10.0) == ["p"]
    assert play.experience.book.groups == {}
    assert play.experience.book.admission.outstanding(PROPOSE) == 0
    play.judge("p")
    assert play.discarded(PROPOSE) == {"orphan": 1}


def test_losing_what_is_done_or_unknown_changes_nothing() -> None:
    play = Play()
    play.propose("p", valid=False)
    play.experience.lost("p")
    play.experience.lost("never heard of")
    assert play.state("p") == "ready"


def test_what_was_generated_for_a_dropped_group_is_counted_in_the_record_that_drops_it() -> None:
    records: list[int] = []
    play = Play()
    play.replay("r")
    play.experience._record_events = lambda happened: records.append(len(happened))
    play.experience.drop(["r"], "retry", [(SOLVE, 2, 30)])
    assert records == [2]
    account = play.experience.book.ledger.accounts[SOLVE]
    assert (account.generated.samples, account.discarded["retry"].tokens) == (2, 30)
    play.experience.assert_closed()


def test_dropping_a_proposal_that_waits_drops_its_rating() -> None:
    play = Play()
    play.propose("p")
    play.experience.drop(["p"], "cancelled")
    assert play.experience.book.groups == {}
    assert next_group(play.experience, "solver", 0.0) is None
    play.experience.assert_closed()


def test_attempts_whose_proposal_was_trained_on_are_dropped_alone() -> None:
    play = Play()
    play.fill("1")
    play.experience.drop(["p1/rating"], "cancelled")
    assert play.state("p1") == "ready"


def test_signs_of_life_keep_work_and_tell_what_is_no_longer_wanted() -> None:
    play = Play()
    play.replay("mine")
    play.replay("done")
    play.attempt("done", True, True)
    assert play.experience.renew("solver", ["mine", "done", "gone"], 8.0) == ["done", "gone"]
    assert play.experience.expire(17.0) == []
    assert play.experience.renew("thief", ["mine"], 8.0) == ["mine"]


def test_who_reports_work_that_was_taken_back_and_is_not_given_out_yet_keeps_it() -> None:
    play = Play()
    play.replay("mine")
    play.experience.expire(10.0)
    assert play.experience.renew("solver", ["mine"], 11.0) == []
    assert next_group(play.experience, "another", 11.0) is None


def test_a_sample_comes_once_however_often_it_is_sent() -> None:
    play = Play()
    play.propose("p")
    play.judge("p")
    group = next_group(play.experience, "solver", 0.0)
    assert group is not None
    first = play.sample("p/rating#0", SOLVE, True)
    play.experience.attempt_many([first])
    play.experience.attempt_many([first, first])
    assert play.group("p/rating").samples == ["p/rating#0"]
    assert play.experience.book.ledger.accounts[SOLVE].generated.samples == 1


def test_samples_of_no_group_of_a_full_one_or_of_another_cell_are_orphans() -> None:
    play = Play()
    play.replay("r")
    play.attempt("r", True, True)
    play.experience.attempt_many([play.sample("r#7"), play.sample("unknown#0")])
    play.replay("s")
    play.experience.attempt_many([play.sample("s#0", Cell("abduction", "solve"))])
    assert play.discarded() == {"orphan": 2}
    assert play.discarded(Cell("abduction", "solve")) == {"orphan": 1}


def test_estimates_that_are_not_trained_on_rate_and_are_discarded() -> None:
    limits = LIMITS._replace(rating_trained=False, attempts=3)
    play = Play(limits)
    play.propose("p")
    assert play.rate("p", True, True, False) == [Rated("task of p", Rating(2, 3, Version(0, 0)))]
    assert play.state("p") == "ready"
    assert "p/rating" not in play.experience.book.groups
    assert play.discarded() == {"estimate": 3}


def test_tokens_that_became_no_sample_are_counted() -> None:
    play = Play()
    play.experience.wasted(SOLVE, 2, 300, "cancelled")
    assert play.discarded() == {"cancelled": 2}


def test_ratings_that_swept_proposals_leave_behind_are_dropped_when_they_overdraw_too_far() -> None:
    play = Play(LIMITS._replace(max_staleness=0))
    for name in "abcd":  # Each rated, and gone before its attempts could be trained on: slots 2, 4, 6 and 8 of 4.
        play.propose(name)
        play.rate(name, True, True)
        play.experience.drop([name], "for this test")
    assert play.experience.book.admission.outstanding(SOLVE) == 8
    assert isinstance(play.experience.take(Version(0, 0), BatchPlan((Quota(PROPOSE, 1), Quota(SOLVE, 4, 2)))), Shortage)
    assert play.discarded() == {}, "this batch would have all of them"
    assert isinstance(play.experience.take(Version(0, 0), BatchPlan((Quota(PROPOSE, 1), Quota(SOLVE, 3, 2)))), Shortage)
    assert play.discarded() == {"surplus": 2}
    assert play.experience.book.admission.overdraft(SOLVE) == 0
