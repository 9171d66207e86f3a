"""The experience, move by move: groups stay whole, work comes back, batches are the same when asked for again."""

from __future__ import annotations

import msgspec
import pytest

from azr.game.types import Cell, Version
from azr.ledger import events
from azr.ledger.events import Rating
from azr.ledger.experience import Rated, Shortage
from azr.ledger.ledger import LedgerError
from azr.staleness.admission import Refusal
from azr.staleness.bound import StalenessError
from tests.ledger.play import LIMITS, PROPOSE, QUOTAS, SOLVE, Play


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
    assert play.experience.next_group("solver", 0.0) is None
    assert play.experience.book.admission.outstanding(SOLVE) == 0


def test_who_did_not_hear_that_work_was_admitted_may_ask_again() -> None:
    play = Play()
    play.replay("r")
    assert play.experience.propose("p", "deduction", "proposer", 0.0) is None
    written = len(play.events)
    play.replay("r")
    assert play.experience.propose("p", "deduction", "proposer", 5.0) is None
    assert len(play.events) == written
    assert play.experience.expire(10.0) == ["r"], "asking again is a sign of life"


def test_a_full_cell_refuses_and_names_itself() -> None:
    play = Play()
    play.propose("a", valid=False)
    play.propose("b", valid=False)
    assert play.experience.propose("c", "deduction", "proposer", 0.0) == Refusal(PROPOSE, 1, 0)
    for name in "wxyz":
        play.replay(name)
    assert play.experience.replay("v", "deduction", "task", "solver", 0.0) == Refusal(SOLVE, 2, 0)


def test_ratings_are_given_out_before_anything_else_in_the_order_of_proposals() -> None:
    play = Play()
    play.propose("a")
    play.propose("b")
    given = [play.experience.next_group("solver", 0.0) for _ in range(3)]
    assert [group and group.id for group in given] == ["a/rating", "b/rating", None]


def test_a_batch_holds_whole_groups_and_exactly_the_quotas() -> None:
    play = Play()
    play.fill("1")
    batch = play.take()
    assert sorted(item.sample.id for item in batch.items) == ["p1#0", "p1/rating#0", "p1/rating#1", "r1#0", "r1#1"]
    assert {item.group.id for item in batch.items} == {"p1", "p1/rating", "r1"}


def test_while_anything_is_lacking_there_is_no_batch_and_the_answer_says_what() -> None:
    play = Play()
    assert play.experience.take(Version(0, 0), QUOTAS) == Shortage({PROPOSE: 1, SOLVE: 4})
    play.replay("r")
    play.attempt("r", True)
    assert play.experience.take(Version(0, 0), QUOTAS) == Shortage({PROPOSE: 1, SOLVE: 4}), "half a group is nothing"
    play.attempt("r", True)
    assert play.experience.take(Version(0, 0), QUOTAS) == Shortage({PROPOSE: 1, SOLVE: 2})


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
    assert isinstance(play.experience.take(play.version, QUOTAS), Shortage)
    assert play.discarded() == {"stale": 2}
    assert play.experience.swept.shares()[3] > 0.0


def test_a_proposal_is_as_old_as_the_oldest_attempt_that_rated_it() -> None:
    play = Play()
    assert play.experience.propose("p", "deduction", "proposer", 0.0) is None
    play.experience.judge(play.sample("p#0", PROPOSE, False, Version(0, 3)), "task")
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
    group = play.experience.next_group("another", 10.0)
    assert group is not None
    assert group.awaited == ["r#1"]
    assert play.attempt("r", True) == [Rated("task of r", Rating(2, 2, Version(0, 0)))]


def test_a_group_lost_too_often_is_poisoned_and_dropped_with_the_proposal_it_rates() -> None:
    play = Play(max_tries=2)
    play.propose("p")
    play.experience.next_group("solver", 0.0)
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
    assert play.experience.propose("p", "deduction", "proposer", 0.0) is None
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


def test_dropping_a_proposal_that_waits_drops_its_rating() -> None:
    play = Play()
    play.propose("p")
    play.experience.drop(["p"], "cancelled")
    assert play.experience.book.groups == {}
    assert play.experience.next_group("solver", 0.0) is None
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
    assert play.experience.next_group("another", 11.0) is None


def test_a_sample_comes_once_however_often_it_is_sent() -> None:
    play = Play()
    play.propose("p")
    play.judge("p")
    group = play.experience.next_group("solver", 0.0)
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
    assert isinstance(play.experience.take(Version(0, 0), {PROPOSE: 1, SOLVE: 8}), Shortage)
    assert play.discarded() == {}, "this batch would have all of them"
    assert isinstance(play.experience.take(Version(0, 0), {PROPOSE: 1, SOLVE: 6}), Shortage)
    assert play.discarded() == {"surplus": 2}
    assert play.experience.book.admission.overdraft(SOLVE) == 0


class TestResume:
    def test_batches_that_were_out_and_steps_after_the_checkpoint_come_back(self) -> None:
        play = Play()
        for name in "12":
            play.fill(name)
            play.take()
            play.train()
        play.fill("3")
        play.take()
        play.experience.resume(Version(0, 1), lineage=1)
        play.experience.assert_closed()
        assert play.experience.book.ledger.accounts[SOLVE].trained.samples == 4
        assert play.state("p2") == play.state("r2") == "ready"
        assert "p3" not in play.experience.book.groups, "its weights, 2 of lineage 0, are lost"
        assert play.discarded() == {"lineage": 4}
        play.version = Version(1, 1)
        assert {item.group.id for item in play.take().items} == {"p2", "p2/rating", "r2"}

    def test_the_step_is_trained_on_again_under_the_new_lineage(self) -> None:
        play = Play()
        play.fill("1")
        play.take()
        play.train()
        play.experience.resume(Version(0, 0), lineage=1)
        play.version = Version(1, 0)
        assert len(play.take().items) == 5
        play.train()
        assert play.experience.book.published == Version(1, 1)
        play.experience.assert_closed()

    def test_a_step_committed_but_not_published_counts_as_the_checkpoint_says(self) -> None:
        for at, trained in ((0, 0), (1, 4)):
            play = Play()
            play.fill("1")
            play.take()
            play.experience.commit(Version(0, 0))
            play.experience.resume(Version(0, at), lineage=1)
            play.experience.assert_closed()
            assert play.experience.book.ledger.accounts[SOLVE].trained.samples == trained
            assert play.experience.book.admission.outstanding(SOLVE) == 4 - trained

    def test_open_work_is_given_out_anew_and_open_proposals_are_not(self) -> None:
        play = Play()
        play.replay("r")
        assert play.experience.propose("p", "deduction", "proposer", 0.0) is None
        play.experience.resume(Version(0, 0), lineage=1)
        group = play.experience.next_group("solver", 0.0)
        assert group is not None
        assert group.id == "r"
        assert "p" not in play.experience.book.groups

    def test_what_lost_weights_send_late_is_counted_and_made_again_under_the_same_name(self) -> None:
        play = Play()
        play.fill("1")
        play.replay("r")
        play.take()
        play.train()
        play.experience.resume(Version(0, 0), lineage=1)
        late = play.sample("r#0", SOLVE, True, Version(0, 0), Version(0, 1))
        play.experience.attempt_many([late])
        assert play.discarded() == {"lineage": 1}
        play.version = Version(1, 0)
        assert play.attempt("r", True, True) != []

    @pytest.mark.parametrize("valid", [True, False])
    def test_a_proposal_of_lost_weights_leaves_no_slots_behind(self, valid: bool) -> None:
        play = Play(LIMITS._replace(max_staleness=0))
        play.experience.resume(Version(0, 0), lineage=1)
        for name in "abc":  # A replica that still has the lost weights answers, again and again.
            assert play.experience.propose(name, "deduction", "proposer", 0.0) is None
            late = play.sample(f"{name}#0", PROPOSE, False, Version(0, 3))
            play.experience.judge_many([(late, "task" if valid else None)] * 2)
            assert name not in play.experience.book.groups
            assert len(play.experience.leases) == 0
        assert play.discarded(PROPOSE) == {"lineage": 3}
        assert play.experience.book.admission.outstanding(PROPOSE) == 0
        assert play.experience.book.admission.outstanding(SOLVE) == 0

    def test_a_proposal_that_came_in_before_is_not_dropped_for_lost_weights(self) -> None:
        play = Play()
        assert play.experience.propose("p", "deduction", "proposer", 0.0) is None
        lost = play.sample("p#0", PROPOSE, False, Version(0, 0), Version(7, 7))
        play.experience.judge_many([(play.sample("p#0", PROPOSE), "task"), (lost, "task")])
        assert play.state("p") == "judged"

    def test_what_lost_weights_send_twice_is_counted_once_until_it_is_forgotten(self) -> None:
        play = Play()
        play.replay("r")
        late = play.sample("r#0", SOLVE, True, Version(0, 0), Version(5, 1))
        for _ in range(3):
            play.experience.attempt_many([late])
        assert play.discarded() == {"lineage": 1}
        again = Play()
        again.experience.rebuild([play.experience.book.snapshot()], now=0.0)
        again.experience.attempt_many([late])
        assert again.discarded() == {"lineage": 1}
        again.experience.forget(100)
        again.experience.attempt_many([late])
        assert again.discarded() == {"lineage": 2}

    def test_asked_again_a_resume_changes_nothing(self) -> None:
        play = Play()
        play.fill("1")
        play.take()
        play.train()
        play.replay("r")
        play.experience.resume(Version(0, 0), lineage=1)
        play.version = Version(1, 0)
        play.take()
        play.train()
        before, recorded = events.encode([play.experience.book.snapshot()]), len(play.events)
        play.experience.resume(Version(0, 0), lineage=1)
        assert events.encode([play.experience.book.snapshot()]) == before
        assert len(play.events) == recorded
        with pytest.raises(ValueError, match="is not new"):
            play.experience.resume(Version(1, 1), lineage=1)

    def test_is_recorded_as_one_with_all_that_it_drops(self) -> None:
        play = Play()
        assert play.experience.propose("p", "deduction", "proposer", 0.0) is None
        play.replay("r")
        play.experience.attempt_many([play.sample("r#0", SOLVE, True, Version(0, 1))])
        records: list[list[object]] = []
        play.experience._record_events = lambda happened: records.append(list(happened))
        play.experience.resume(Version(0, 0), lineage=1)
        [together] = records
        assert together[0] == events.Resumed(Version(0, 0), 1)
        assert set(together[1:]) == {events.Dropped("r", "lineage"), events.Dropped("p", "lost")}

    def test_a_rating_of_lost_weights_takes_its_proposal_with_it(self) -> None:
        play = Play()
        play.propose("p")
        group = play.experience.next_group("solver", 0.0)
        assert group is not None
        play.experience.attempt_many([play.sample("p/rating#0", SOLVE, True, Version(0, 1))])
        play.experience.resume(Version(0, 0), lineage=1)
        assert play.experience.book.groups == {}
        assert play.discarded(PROPOSE) == {"lineage": 1}

    def test_a_resume_that_cannot_be_is_refused_before_it_is_recorded(self) -> None:
        play = Play()
        with pytest.raises(ValueError, match="lineage 0 is not new"):
            play.experience.resume(Version(0, 0), lineage=0)
        with pytest.raises(LedgerError, match="checkpoint of step 3 is ahead of the journal"):
            play.experience.resume(Version(0, 3), lineage=1)
        assert play.events == []

    def test_a_learner_of_another_lineage_commits_nothing(self) -> None:
        play = Play()
        play.fill("1")
        play.take()
        play.experience.resume(Version(0, 0), lineage=1)
        play.version = Version(1, 0)
        play.take()
        with pytest.raises(LedgerError, match=r"step 0\.0 is committed by a learner of another lineage"):
            play.experience.commit(Version(0, 0))

    def test_a_checkpoint_is_restored_where_there_is_no_journal_of_it(self) -> None:
        play = Play()
        play.fill("1")
        play.take()
        play.train()
        play.replay("open")
        written = events.encode([play.experience.book.snapshot()])
        other = Play()
        other.replay("of another run")
        [snapshot] = events.decode(written)
        assert isinstance(snapshot, events.Snapshot)
        other.experience.restore(snapshot, now=50.0)
        other.experience.resume(Version(0, 1), lineage=1)
        assert set(other.experience.book.groups) == {"open"}
        assert other.experience.leases.holder("of another run") is None
        again = Play()
        again.experience.rebuild(other.events, now=0.0)
        assert again.experience.book.snapshot() == other.experience.book.snapshot()


class TestHistory:
    def test_nothing_happens_that_was_not_recorded_first(self) -> None:
        play = Play()

        def full(happened: object) -> None:
            raise OSError("disk full")

        play.experience._record_events = full
        before = events.encode([play.experience.book.snapshot()])
        for move in (
            lambda: play.experience.propose("p", "deduction", "proposer", 0.0),
            lambda: play.experience.replay("r", "deduction", "task", "solver", 0.0),
            lambda: play.experience.wasted(SOLVE, 1, 1, "cancelled"),
            lambda: play.experience.attempt_many([play.sample("x#0")]),
        ):
            with pytest.raises(OSError, match="disk full"):
                move()
        assert events.encode([play.experience.book.snapshot()]) == before
        assert len(play.experience.leases) == 0

    def test_an_experience_rebuilt_from_its_events_is_the_same(self) -> None:
        play = Play()
        play.fill("1")
        play.take()
        play.train()
        play.fill("2")
        play.take()
        play.propose("p")
        again = Play()
        again.experience.rebuild(events.decode(events.encode(play.events)), now=0.0)
        assert again.experience.book.snapshot() == play.experience.book.snapshot()
        again.version = play.version
        assert again.take() == play.take()

    def test_after_a_rebuild_open_work_waits_for_its_owner_and_is_then_given_out_without_blame(self) -> None:
        play = Play()
        play.replay("claimed")
        play.replay("unclaimed")
        again = Play()
        again.experience.rebuild(play.events, now=100.0, grace_seconds=5.0)
        assert again.experience.next_group("another", 100.0) is None
        assert again.experience.renew("solver", ["claimed"], 101.0) == []
        assert again.experience.expire(105.0) == ["unclaimed"]
        assert again.group("unclaimed").tries == 0
        given = again.experience.next_group("another", 105.0)
        assert given is not None
        assert given.id == "unclaimed"

    def test_what_no_checkpoint_asks_for_is_forgotten_but_not_what_is_unpublished(self) -> None:
        play = Play()
        for name in "12":
            play.fill(name)
            play.take()
            play.train()
        play.fill("3")
        play.take()
        play.experience.commit(Version(0, 2))
        play.experience.forget(3)
        assert list(play.experience.book.committed) == [2]
        play.experience.publish(Version(0, 3))
        play.experience.forget(3)
        assert play.experience.book.committed == {}
        play.experience.assert_closed()

    def test_a_snapshot_of_another_schema_is_refused(self) -> None:
        play = Play()
        [strange] = events.decode(events.encode([play.experience.book.snapshot()]))
        assert isinstance(strange, events.Snapshot)
        with pytest.raises(LedgerError, match="schema 99"):
            play.experience.book.apply(msgspec.structs.replace(strange, schema=99))
        recorded = len(play.events)
        with pytest.raises(LedgerError, match="schema 99"):
            play.experience.restore(msgspec.structs.replace(strange, schema=99), now=0.0)
        assert len(play.events) == recorded, "refused before it is journaled"


class TestDefects:
    """Events that do not fit are refused loudly: they can only come from a defect."""

    def refused(self, play: Play, event: events.Event, complaint: str) -> None:
        with pytest.raises(LedgerError, match=complaint):
            play.experience.book.apply(event)

    def test_a_group_is_opened_once(self) -> None:
        play = Play()
        play.replay("r")
        play.attempt("r", True, True)
        written = len(play.events)
        with pytest.raises(LedgerError, match="group r is opened again but is ready"):
            play.experience.replay("r", "deduction", "task", "solver", 0.0)
        assert len(play.events) == written
        self.refused(play, events.Opened("r", "replay", "deduction", 2), "group r is opened twice")

    def test_a_group_out_for_training_is_not_dropped(self) -> None:
        play = Play()
        play.fill("1")
        play.take()
        written = len(play.events)
        with pytest.raises(LedgerError, match="groups r1 are out for training"):
            play.experience.drop(["r1"], "cancelled")
        assert len(play.events) == written
        self.refused(play, events.Dropped("r1", "cancelled"), "group r1 is out for training")

    def test_samples_without_weights_or_of_the_other_role_are_refused_before_they_are_recorded(self) -> None:
        play = Play()
        nameless = msgspec.structs.replace(play.sample("r#0"), versions=())
        for call in (
            lambda: play.experience.attempt_many([nameless]),
            lambda: play.experience.attempt_many([play.sample("p#0", PROPOSE)]),
            lambda: play.experience.judge(play.sample("r#0", SOLVE), None),
        ):
            with pytest.raises(ValueError, match="names no weights, or is not one to"):
                call()
        assert play.events == []

    def test_an_unknown_group_is_named(self) -> None:
        with pytest.raises(LedgerError, match="there is no group x"):
            Play().experience.drop(["x"], "cancelled")

    def test_samples_without_a_group_and_groups_without_samples_are_noticed(self) -> None:
        play = Play()
        play.replay("r")
        play.attempt("r", True)
        play.group("r").samples.clear()
        with pytest.raises(LedgerError, match="1 samples are in flight but groups hold 0"):
            play.experience.assert_closed()
        play.group("r").samples.append("another")
        with pytest.raises(LedgerError, match="another is not in flight"):
            play.experience.assert_closed()
