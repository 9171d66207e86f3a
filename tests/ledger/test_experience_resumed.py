"""The experience after a resume, from its history, and against callers with defects."""

from __future__ import annotations

import msgspec
import pytest

from azr.game.types import Version
from azr.ledger import events
from azr.ledger.ledger import LedgerError
from tests.ledger.play import LIMITS, PROPOSE, SOLVE, Play, next_group, propose, replay


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
        assert propose(play.experience, "p")
        play.experience.resume(Version(0, 0), lineage=1)
        group = next_group(play.experience, "solver", 0.0)
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
            assert propose(play.experience, name)
            late = play.sample(f"{name}#0", PROPOSE, False, Version(0, 3))
            play.experience.judge_many([(late, "task" if valid else None)] * 2)
            assert name not in play.experience.book.groups
            assert len(play.experience.leases) == 0
        assert play.discarded(PROPOSE) == {"lineage": 3}
        assert play.experience.book.admission.outstanding(PROPOSE) == 0
        assert play.experience.book.admission.outstanding(SOLVE) == 0

    def test_a_proposal_that_came_in_before_is_not_dropped_for_lost_weights(self) -> None:
        play = Play()
        assert propose(play.experience, "p")
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
        for name in "12":
            again.fill(name)
            again.take()
            again.train()
        again.experience.keep([2])
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
        assert propose(play.experience, "p")
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
        group = next_group(play.experience, "solver", 0.0)
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
        other.events[:] = events.decode(written)
        other.experience.restore(events.decode(written), now=50.0)
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
            lambda: propose(play.experience, "p"),
            lambda: replay(play.experience, "r", "deduction", "task", "solver", 0.0),
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
        assert next_group(again.experience, "another", 100.0) is None
        assert again.experience.renew("solver", ["claimed"], 101.0) == []
        assert again.experience.expire(105.0) == ["unclaimed"]
        assert again.group("unclaimed").tries == 0
        given = next_group(again.experience, "another", 105.0)
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
        play.experience.keep([3])
        assert list(play.experience.book.committed) == [2]
        play.version = Version(0, 3)
        play.experience.publish(play.version)
        play.fill("4")
        play.take()
        play.train()
        play.experience.keep([4])
        assert play.experience.book.committed == {}
        play.experience.assert_closed()

    def test_a_snapshot_of_another_schema_is_refused(self) -> None:
        play = Play()
        [strange] = events.decode(events.encode([play.experience.book.snapshot()]))
        assert isinstance(strange, events.Snapshot)
        with pytest.raises(LedgerError, match="schema 99"):
            play.experience.book.apply(msgspec.structs.replace(strange, schema=99))


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
            replay(play.experience, "r", "deduction", "task", "solver", 0.0)
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
            lambda: play.experience.judge_many([(play.sample("r#0", SOLVE), None)]),
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
