"""What leaves for the learner: whole quotas while it is patient, and what `when_dry` makes of a lack after that."""

from __future__ import annotations

import pytest

from azr.game.batch import BatchPlan, Quota
from azr.game.types import Cell, Version
from azr.ledger import events
from azr.ledger.experience import Batch, Experience
from azr.ledger.taking import Shortage, surplus
from azr.staleness.admission import Limits
from tests.ledger.play import Play, propose, replay

A, B = Cell("deduction", "solve"), Cell("abduction", "solve")
LIMITS = Limits(4, 0, 4, attempts=2, replay_attempts=2, replay_share=1.0, task_types=("deduction", "abduction"))
QUOTAS = (Quota(A, 2, 2), Quota(B, 2, 2))
WAIT, REDISTRIBUTE, CARRY = (BatchPlan(QUOTAS, rule) for rule in ("wait", "redistribute", "carry"))


class Solvers(Play):
    """Two types of tasks and nobody who proposes."""

    def __init__(self) -> None:
        super().__init__(LIMITS)
        self.names = 0

    def ready(self, cell: Cell, groups: int) -> list[str]:
        """Groups of attempts that are whole."""
        made = [self.begin(cell) for _ in range(groups)]
        for name in made:
            self.finish(name)
        return made

    def begin(self, cell: Cell) -> str:
        self.names += 1
        name = f"g{self.names}"
        assert replay(self.experience, name, cell.task, "task", "solver", 0.0) is None
        return name

    def finish(self, name: str) -> None:
        group = self.experience.book.group(name)
        self.experience.attempt_many([self.sample(sample, group.cell) for sample in group.awaited])

    def got(self, plan: BatchPlan, *, patient: bool) -> dict[Cell, int] | Shortage:
        """Groups of each cell in the batch."""
        batch = self.experience.take(self.version, plan, patient=patient)
        if isinstance(batch, Shortage):
            return batch
        groups = {item.group.id: item.group.cell for item in batch.items}
        return {cell: list(groups.values()).count(cell) for cell in (A, B)}


@pytest.mark.parametrize("plan", [WAIT, REDISTRIBUTE, CARRY])
def test_a_patient_learner_waits_for_whole_quotas(plan: BatchPlan) -> None:
    play = Solvers()
    play.ready(A, 4)
    play.ready(B, 1)
    assert play.got(plan, patient=True) == Shortage({B: 2})
    play.ready(B, 1)
    assert play.got(plan, patient=True) == {A: 2, B: 2}


def test_who_waits_for_ever_never_gets_less() -> None:
    play = Solvers()
    play.ready(A, 4)
    assert play.got(WAIT, patient=False) == Shortage({B: 4})


class TestRedistribute:
    def test_other_cells_of_the_role_fill_the_places(self) -> None:
        play = Solvers()
        play.ready(A, 4)
        play.ready(B, 1)
        assert play.got(REDISTRIBUTE, patient=False) == {A: 3, B: 1}

    def test_a_cell_waited_for_in_vain_is_not_waited_for_again_until_it_was_whole(self) -> None:
        play = Solvers()
        play.ready(A, 4)
        assert play.got(REDISTRIBUTE, patient=False) == {A: 4, B: 0}
        play.train()
        play.ready(A, 4)
        assert play.got(REDISTRIBUTE, patient=True) == {A: 4, B: 0}, "not waited for again"
        play.train()
        play.ready(A, 2)
        play.ready(B, 2)
        assert play.got(REDISTRIBUTE, patient=True) == {A: 2, B: 2}, "it was whole"
        play.train()
        play.ready(A, 4)
        assert play.got(REDISTRIBUTE, patient=True) == Shortage({B: 4}), "waited for again"

    def test_a_batch_leaves_short_only_when_nothing_is_under_way_that_could_fill_it(self) -> None:
        play = Solvers()
        play.ready(A, 3)
        name = play.begin(B)
        assert play.got(REDISTRIBUTE, patient=False) == Shortage({B: 2})
        play.experience.drop([name], "for this test")
        name = play.begin(A)
        assert play.got(REDISTRIBUTE, patient=False) == Shortage({B: 2}), "A would make up for it"
        play.experience.drop([name], "for this test")
        assert play.got(REDISTRIBUTE, patient=False) == {A: 3, B: 0}

    def test_work_of_the_other_role_is_not_waited_for(self) -> None:
        play = Play(LIMITS._replace(propose=1))
        play.replay("r")
        play.attempt("r", True, True)
        play.replay("s")
        plan = BatchPlan((Quota(Cell("deduction", "propose"), 1), Quota(A, 1, 2)), "redistribute")
        assert isinstance(play.experience.take(Version(0, 0), plan, patient=False), Batch)

    def test_a_proposal_under_way_may_bring_attempts(self) -> None:
        play = Play(LIMITS._replace(propose=1, task_types=("deduction",)))
        play.propose("p", valid=False)
        plan = BatchPlan((Quota(Cell("deduction", "propose"), 1), Quota(A, 2, 2)), "redistribute")
        assert propose(play.experience, "q")
        assert play.experience.take(Version(0, 0), plan, patient=False) == Shortage({A: 4})
        play.judge("q", valid=False)
        assert isinstance(play.experience.take(Version(0, 0), plan, patient=False), Batch)

    def test_a_batch_of_nothing_is_none(self) -> None:
        assert Solvers().got(REDISTRIBUTE, patient=False) == Shortage({A: 4, B: 4})


class TestCarry:
    def test_what_is_lacking_is_asked_for_besides_the_next_quota(self) -> None:
        play = Solvers()
        play.ready(A, 2)
        play.ready(B, 1)
        name = play.begin(B)
        assert play.got(CARRY, patient=False) == {A: 2, B: 1}
        play.train()
        play.finish(name)
        play.ready(A, 4)
        play.ready(B, 3)
        assert play.got(CARRY, patient=True) == {A: 2, B: 3}
        play.train()
        play.ready(B, 1)
        assert play.got(CARRY, patient=True) == {A: 2, B: 2}, "nothing is owed any more"

    def test_nobody_waits_for_a_deficit(self) -> None:
        play = Solvers()
        play.ready(A, 2)
        assert play.got(CARRY, patient=False) == {A: 2, B: 0}
        play.train()
        play.ready(A, 2)
        play.ready(B, 2)
        assert play.got(CARRY, patient=True) == {A: 2, B: 2}
        assert play.experience.book.carried(Version(0, 2)) == {B: 2}

    def test_a_batch_of_nothing_is_none(self) -> None:
        assert Solvers().got(CARRY, patient=False) == Shortage({A: 4, B: 4})

    def test_deficits_outlast_a_restart_with_and_without_a_snapshot(self) -> None:
        play = Solvers()
        play.ready(A, 2)
        assert play.got(CARRY, patient=False) == {A: 2, B: 0}
        play.train()
        for history in (play.events, [play.experience.book.snapshot()]):
            again = Experience(LIMITS)
            again.rebuild(events.decode(events.encode(history)), 0.0)
            assert again.book.carried(Version(0, 1)) == {B: 2}

    def test_a_resume_owes_what_was_owed_at_the_checkpoint(self) -> None:
        play = Solvers()
        play.ready(A, 2)
        assert play.got(CARRY, patient=False) == {A: 2, B: 0}  # Step 0: two are owed.
        play.train()
        play.ready(A, 2)
        play.ready(B, 4)
        assert play.got(CARRY, patient=False) == {A: 2, B: 4}  # Step 1: paid back.
        play.train()
        carried = play.experience.book.carried
        assert [carried(Version(0, step)) for step in (0, 1, 2)] == [{}, {B: 2}, {}]
        play.experience.resume(Version(0, 1), 1)
        assert [carried(Version(1, step)) for step in (0, 1, 2)] == [{}, {B: 2}, {B: 2}]

    def test_what_a_cell_owes_is_no_surplus(self) -> None:
        play = Play(Limits(0, 1, 4, attempts=2, replay_attempts=2, replay_share=1.0))
        for name in "abcd":  # Each rated and gone: slots 2, 4, 6 and 8 of 4, of which 2 may be overdrawn.
            play.propose(name)
            play.rate(name, True, True)
            play.experience.drop([name], "for this test")
        book, plan = play.experience.book, BatchPlan((Quota(A, 3, 2),), "carry")
        assert [group.id for group in surplus(book, plan, Version(0, 0))] == ["a/rating"]
        book.owing[-1] = {str(A): 1}
        assert surplus(book, plan, Version(0, 0)) == []

    def test_what_no_resume_can_ask_for_is_forgotten(self) -> None:
        play = Solvers()
        for step in range(4):
            play.ready(A, 2)
            assert play.got(CARRY, patient=False) == {A: 2, B: 0}
            play.train()
            play.experience.keep([step, step + 1])
        assert sorted(play.experience.book.owing) == [2, 3], "step 3 begins with what step 2 left"
        assert play.experience.book.carried(Version(0, 3)) == {B: 2}


def test_asking_again_gives_the_same_batch_whatever_the_plan_and_the_patience() -> None:
    play = Solvers()
    play.ready(A, 4)
    first = play.experience.take(Version(0, 0), REDISTRIBUTE, patient=False)
    play.ready(B, 2)
    assert play.experience.take(Version(0, 0), WAIT, patient=True) == first


def test_in_a_batch_the_oldest_weights_come_first_whichever_kind_they_are() -> None:
    play = Play(Limits(1, 1, 4, attempts=2, replay_attempts=2, replay_share=1.0))
    play.replay("old")
    play.attempt("old", True, True)
    play.version = Version(0, 1)
    play.propose("p")
    play.rate("p", True, True)
    batch = play.experience.take(Version(0, 1), BatchPlan((Quota(A, 1, 2),)))
    assert isinstance(batch, Batch)
    assert {item.group.id for item in batch.items} == {"old"}
