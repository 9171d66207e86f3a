"""Bodies of trained samples are held for resumes that may hand them out again, and for nothing else.

Beside examples by hand, random histories: at every moment a copy of the books is resumed at each checkpoint that is
kept, and what comes back alive there is exactly what had a body here.
"""

from __future__ import annotations

import random
from collections import Counter

import msgspec
import pytest

from azr.game.batch import BatchPlan, Quota
from azr.game.types import Version
from azr.ledger import events
from azr.ledger.bodies import may_return
from azr.ledger.experience import Experience
from azr.ledger.ledger import LedgerError, Sample
from tests.ledger.play import LIMITS, PROPOSE, SOLVE, Play, propose, replay


def made(*steps: int, lineage: int = 0) -> list[Version]:
    return [Version(lineage, step) for step in steps]


class TestPredicate:
    @pytest.mark.parametrize(
        ("steps", "trained", "checkpoints", "returns"),
        [
            ([3], 5, [3], True),  # undone, and its weights are those of the checkpoint
            ([3], 5, [4], True),
            ([3], 5, [5], True),  # the checkpoint before the very step that trained on it
            ([3], 5, [6], False),  # the checkpoint behind that step: it stays trained
            ([3], 5, [2], False),  # its weights are lost
            ([3], 5, [2, 6], False),
            ([3], 5, [0, 2, 4, 6], True),
            ([2, 3], 5, [2], False),  # one of its weights is lost
            ([0, 2, 3], 5, [3], True),
            ([5], 5, [5], True),  # trained on by the weights that made it
            ([5], 5, [4, 6], False),
            ([0], 0, [0], True),  # a run without a checkpoint goes back to the base weights
            ([3], 5, [], False),
        ],
    )
    def test_newest_weights_at_or_before_a_checkpoint_at_or_before_the_step(
        self, steps: list[int], trained: int, checkpoints: list[int], returns: bool
    ) -> None:
        assert may_return(made(*steps), trained, checkpoints) is returns

    def test_weights_of_several_lineages_go_by_their_steps(self) -> None:
        both = [Version(0, 2), Version(1, 4)]
        assert not may_return(both, 5, [3])
        assert may_return(both, 5, [4])


def with_bodies(play: Play) -> Play:
    """Its samples have their ids for bodies."""
    bare = play.sample

    def sample(name: str, *arguments: object, **named: object) -> Sample:
        return msgspec.structs.replace(bare(name, *arguments, **named), body=name.encode())  # type: ignore[arg-type]

    play.sample = sample  # type: ignore[method-assign]
    return play


def trained_bodies(experience: Experience) -> dict[str, bytes]:
    """Samples trained on whose bodies are held."""
    return {sample.id: sample.body for _, sample in experience.book.ledger.state().trained if sample.body}


def learn(play: Play, steps: int, *, checkpoint: bool = False) -> None:
    """Steps on what is ready, oldest first."""
    for _ in range(steps):
        play.take()
        play.train(checkpoint=checkpoint)


def train(play: Play, steps: int, *, checkpoint: bool = False) -> None:
    """Steps, each on what its own weights made."""
    for _ in range(steps):
        play.fill(str(play.version.step))
        learn(play, 1, checkpoint=checkpoint)


class TestHeld:
    """Two groups and a proposal a step, made and trained on in that very step."""

    def test_what_is_trained_on_right_after_a_checkpoint_keeps_its_bodies_and_what_comes_later_does_not(self) -> None:
        play = with_bodies(Play())
        train(play, 3)
        play.experience.keep([0, 3])
        train(play, 3)
        assert {name.partition("#")[0] for name in trained_bodies(play.experience)} == {
            *("p0", "p0/rating", "r0"),
            *("p3", "p3/rating", "r3"),
        }
        play.experience.assert_closed()

    def test_what_older_weights_made_keeps_its_bodies_for_as_many_steps_as_it_may_be_old(self) -> None:
        play = with_bodies(Play(LIMITS._replace(max_staleness=2)))
        for name in "abc":
            play.fill(name)
        learn(play, 3)
        held = {name.partition("#")[0].removesuffix("/rating") for name in trained_bodies(play.experience)}
        assert held == {"pa", "ra", "pb", "rb", "pc", "rc"}, "three steps, at most two steps old: eta + 1"
        play.experience.assert_closed()

    def test_a_checkpoint_that_is_not_kept_any_more_takes_its_bodies_along(self) -> None:
        play = with_bodies(Play())
        train(play, 2, checkpoint=True)
        assert len(trained_bodies(play.experience)) == 10
        play.experience.keep([1, 2])
        assert {name[1] for name in trained_bodies(play.experience)} == {"1"}
        train(play, 1)
        play.experience.keep([2, 3])
        assert {name[1] for name in trained_bodies(play.experience)} == {"2"}

    def test_one_that_never_came_to_stand_does_too(self) -> None:
        """The disk was full: the next to be named is named beside those that stand."""
        play = with_bodies(Play())
        train(play, 1)
        play.experience.keep([0, 1])
        train(play, 1)
        play.experience.keep([0, 2])
        assert {name[1] for name in trained_bodies(play.experience)} == {"0"}
        assert sorted(play.experience.book.committed) == [0, 1], "the books go back to step 0 all the same"

    def test_a_step_whose_weights_are_not_published_may_be_one_that_no_checkpoint_undoes(self) -> None:
        play = with_bodies(Play())
        train(play, 1)
        play.fill("late")
        play.take()
        play.experience.commit(Version(0, 1))
        play.experience.keep([2])
        assert list(play.experience.book.committed) == [1], "for its slots"
        assert play.experience.book.ledger.state().trained == []
        play.experience.assert_closed()

    def test_a_snapshot_holds_no_more_than_that(self) -> None:
        play = with_bodies(Play())
        train(play, 6)
        written = events.encode([play.experience.book.snapshot()])
        assert b"r0#0" in written
        assert written.count(b"r5#0") == 2, "in the group and as the sample's id, but not as its body"

    def test_books_that_hold_what_nobody_asks_for_are_noticed(self) -> None:
        play = with_bodies(Play())
        train(play, 2)
        step, sample = play.experience.book.ledger._trained["r1#0"]
        play.experience.book.ledger._trained["r1#0"] = (step, msgspec.structs.replace(sample, body=b"r1#0"))
        with pytest.raises(LedgerError, match="bodies of step 1 are held that no resume asks for"):
            play.experience.assert_closed()

    def test_books_that_hold_more_steps_than_the_bound_allows_are_noticed(self) -> None:
        play = with_bodies(Play())
        train(play, 4, checkpoint=True)
        book = play.experience.book
        for groups in book.committed.values():
            for group in groups:
                group.versions = made(0)
        book.checkpoints = [0]
        with pytest.raises(LedgerError, match="bodies of 4 steps are held for the checkpoints \\[0\\]"):
            play.experience.assert_closed()


class TestKeep:
    def test_a_checkpoint_is_named_before_the_step_behind_it_is_committed(self) -> None:
        play = Play()
        train(play, 2)
        recorded = len(play.events)
        with pytest.raises(LedgerError, match=r"checkpoints of steps \[1\] are to be kept, but the step .* next is 2"):
            play.experience.keep([0, 1])
        with pytest.raises(LedgerError, match=r"checkpoints of steps \[3\] are to be kept"):
            play.experience.keep([0, 3])
        assert len(play.events) == recorded, "refused before it is journaled"
        play.fill("2")
        play.take()
        play.experience.keep([0, 2])
        assert play.experience.book.checkpoints == [0, 2]

    def test_named_again_it_changes_nothing(self) -> None:
        play = Play()
        train(play, 2)
        play.experience.keep([0, 2])
        train(play, 1)
        recorded = len(play.events)
        play.experience.keep([2, 0, 2])
        assert len(play.events) == recorded

    def test_one_that_was_let_go_of_is_passed_over(self) -> None:
        """`learner.keep_last` was raised between two drivers: older ones lie on the disk than the books go back to."""
        play = Play()
        train(play, 2, checkpoint=True)
        play.experience.keep([2])
        play.experience.keep([0, 1, 2])
        assert play.experience.book.checkpoints == [2]

    def test_there_is_always_one(self) -> None:
        play = Play()
        train(play, 2, checkpoint=True)
        play.experience.keep([2])
        for none in ([], [0, 1]):
            with pytest.raises(LedgerError, match=r"of the checkpoints of steps \[2\], none is to be kept"):
                play.experience.keep(none)


class TestResume:
    def test_the_checkpoint_it_begins_from_is_kept_and_those_after_it_are_not(self) -> None:
        play = Play()
        train(play, 4, checkpoint=True)
        play.experience.keep([1, 2, 4])
        play.experience.resume(Version(0, 2), 1)
        assert play.experience.book.checkpoints == [1, 2]
        play.experience.resume(Version(0, 1), 2)
        assert play.experience.book.checkpoints == [1]

    def test_from_a_checkpoint_that_is_not_kept_what_has_no_body_is_dropped_whole_and_counted(self) -> None:
        play = with_bodies(Play(LIMITS._replace(max_staleness=2)))
        play.fill("a")
        play.fill("b")
        learn(play, 1)
        play.fill("c")
        learn(play, 2)
        assert {name[1] for name in trained_bodies(play.experience)} == {"a", "b"}, "c is of weights 1, no checkpoint's"
        play.experience.resume(Version(0, 1), 1)
        assert play.discarded() == {"forgotten": 4}
        assert set(play.experience.book.groups) == {"pb", "pb/rating", "rb"}, "of weights 0, undone with step 1"
        play.version = Version(1, 1)
        assert all(item.sample.body == item.sample.id.encode() for item in play.take().items)
        assert play.experience.book.checkpoints == [0, 1]

    def test_behind_the_oldest_that_is_kept_it_is_refused_before_it_is_journaled(self) -> None:
        play = Play()
        train(play, 3, checkpoint=True)
        play.experience.keep([2, 3])
        recorded = len(play.events)
        with pytest.raises(LedgerError, match="the checkpoint of step 1 is older than that of step 2, the oldest"):
            play.experience.resume(Version(0, 1), 1)
        assert len(play.events) == recorded


def test_a_snapshot_of_the_schema_before_is_refused_by_its_number() -> None:
    play = Play()
    [record] = msgspec.msgpack.decode(events.encode([play.experience.book.snapshot()]))
    older = [*record[:1], 2, *record[2:-1]]
    with pytest.raises(LedgerError, match="a snapshot of schema 2 cannot be read by schema 3"):
        Play().experience.rebuild(events.decode(msgspec.msgpack.encode([older])), now=0.0)


#: Lets batches leave short, so that learning never waits for the random players.
HASTY = BatchPlan((Quota(PROPOSE, 1), Quota(SOLVE, 2, 2)), "carry")


class History:
    """Random work, steps, checkpoints, restarts and resumes around one experience whose samples have bodies."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.limits = LIMITS._replace(max_staleness=self.random.choice((0, 1, 2, 3)))
        self.play = with_bodies(Play(self.limits))
        self.names = self.lineage = 0
        self.counts: Counter[str] = Counter()

    def run(self, acts: int = 40) -> Counter[str]:
        for _ in range(acts):
            everything = (self.work, self.learn, self.checkpoint, self.restart, self.resume)
            self.random.choices(everything, (8, 12, 3, 1, 1))[0]()
            self.check()
        return self.counts

    def weights(self) -> Version:
        """Some that still exist, of the present step or of one of the two before it."""
        step = self.play.version.step
        old = self.random.randint(max(0, step - 2), step)
        return self.play.version if old == step else self.checkpointed(old)

    def checkpointed(self, step: int) -> Version:
        """The weights of a step on the present path, by the name that they had when they were made."""
        ancestry = self.play.experience.book.ancestry
        return next(at for name in range(self.lineage + 1) if ancestry.holds(at := Version(name, step)))

    def work(self) -> None:
        """Something new is begun, and most of what is open is finished, each sample by weights of its own."""
        experience, name = self.play.experience, f"g{self.names}"
        self.names += 1
        if self.random.random() < 0.5:
            replay(experience, name, "deduction", "task", "solver", 0.0)
        elif propose(experience, name):
            said = self.play.sample(f"{name}#0", PROPOSE, False, self.weights())
            experience.judge_many([(said, "task" if self.random.random() < 0.8 else None)])
        for group in [group for group in experience.book.groups.values() if group.cell == SOLVE]:
            if self.random.random() < 0.8:
                made = [self.play.sample(one, SOLVE, True, self.weights()) for one in group.awaited]
                experience.attempt_many(made)

    def learn(self) -> None:
        if self.play.version.step in self.play.experience.book.taken:
            self.play.train(checkpoint=False)
            self.counts["steps"] += 1
        else:
            self.play.experience.take(self.play.version, HASTY, patient=False)

    def checkpoint(self) -> None:
        """Some stand on the disk, and one is begun."""
        known = self.play.experience.book.checkpoints
        kept = self.random.sample(known, self.random.randint(1, min(2, len(known))))
        self.play.experience.keep([*kept, self.play.version.step])
        self.counts["checkpoints"] += 1

    def restart(self) -> None:
        """The service dies and reads its journal, or what compacting left of it."""
        again = with_bodies(Play(self.limits))
        again.experience.rebuild(events.decode(events.encode(self.play.events)), now=0.0)
        assert again.experience.book.snapshot() == self.play.experience.book.snapshot()
        short = self.random.random() < 0.5
        history = [again.experience.book.snapshot()] if short else self.play.events
        again.events[:] = events.decode(events.encode(history))
        again.version, self.play = self.play.version, again
        self.counts["restarts"] += 1

    def resume(self) -> None:
        """The driver dies and goes on from one of its checkpoints."""
        at = self.checkpointed(self.random.choice(self.play.experience.book.checkpoints))
        self.lineage += 1
        self.play.experience.resume(at, self.lineage)
        self.play.version = Version(self.lineage, at.step)
        self.counts["resumes"] += 1

    def resumed(self, step: int) -> Experience:
        """A copy of the books as a resume at this step leaves them."""
        copy = Experience(self.limits)
        copy.restore([self.play.experience.book.snapshot()], now=0.0)
        copy.resume(self.checkpointed(step), self.lineage + 1)
        copy.assert_closed()
        return copy

    def check(self) -> None:
        """Held is what comes back alive at some checkpoint; at any other step the rest is dropped, and counted."""
        book = self.play.experience.book
        self.play.experience.assert_closed()
        trained = {sample.id: sample for _, sample in book.ledger.state().trained}
        alive: set[str] = set()
        for step in range(book.checkpoints[0], book.next_step + 1):
            copy = self.resumed(step)
            flying = {sample.id: sample.body for sample in copy.book.ledger.state().in_flight}
            assert all(body == name.encode() for name, body in flying.items()), f"step {step}: a body is missing"
            dropped = sum("forgotten" in account.discarded for account in copy.book.ledger.accounts.values())
            if step in book.checkpoints:
                assert not dropped, f"something was lost for the checkpoint of step {step}"
                alive |= flying.keys() & trained.keys()
            self.counts["forgotten"] += dropped
        held = trained_bodies(self.play.experience).keys()
        assert alive <= held
        assert all(self.was_renamed(trained[name]) for name in held - alive), "bodies are held for nobody"
        self.counts["held"] += len(held)
        self.counts["bare"] += len(trained) - len(held)

    def was_renamed(self, sample: Sample) -> bool:
        """Whether its group has weights whose name a resume at the same step as an earlier one loses, not themselves:
        the one case in which bodies are held that nothing asks for."""
        book = self.play.experience.book
        group = next(g for groups in book.committed.values() for g in groups if sample.id in g.samples)
        forks = book.ancestry.forks
        return any(made.step == at.step and made.lineage > at.lineage for made in group.versions for at in forks)


def histories(seeds: range) -> Counter[str]:
    totals: Counter[str] = Counter()
    for seed in seeds:
        totals += History(seed).run()
    return totals


def test_whatever_happens_each_body_is_held_that_a_kept_checkpoint_brings_back_and_no_other() -> None:
    totals = histories(range(100))
    for met in ("steps", "checkpoints", "restarts", "resumes", "forgotten", "held", "bare"):
        assert totals[met] > 0, f"the histories never met: {met}"


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_same_in_many_histories() -> None:
    histories(range(1_000, 4_000))
