"""What is to be done next, and in which cell: waiting attempts first, then whoever is furthest behind its quota."""

from __future__ import annotations

import dataclasses
import heapq
import random
from collections import Counter
from collections.abc import Sequence

import pytest

from azr.game.batch import BatchPlan, Quota
from azr.game.types import Cell, Role, Version
from azr.ledger.experience import Batch, Experience
from azr.ledger.ledger import LedgerError, Sample
from azr.ledger.work import ToAttempt, ToPropose, ToReplay, Work
from azr.staleness.admission import Limits, Refusal
from tests.ledger.play import LIMITS, PROPOSE, SOLVE, Play, replay

TWO_TYPES = Limits(1, 2, 8, attempts=2, replay_attempts=2, replay_share=1.0, task_types=("deduction", "abduction"))


def next_work(play: Play, *names: str, roles: Sequence[Role] = ("propose", "solve"), now: float = 0.0) -> list[Work]:
    return play.experience.next_work("actor", names, now, roles=roles)


class TestWhatComesFirst:
    def test_attempts_that_rate_come_before_new_work_and_keep_the_names_of_their_groups(self) -> None:
        play = Play()
        play.propose("p")
        first, second = next_work(play, "a", "b")
        assert first == ToAttempt(play.group("p/rating"))
        assert second == ToReplay("a", "deduction"), "the name was not used up"

    def test_attempts_that_were_lost_come_first_as_well(self) -> None:
        play = Play()
        play.replay("r")
        play.attempt("r", True)
        play.experience.lost("r")
        (work,) = next_work(play, "a", roles=["solve"])
        assert work == ToAttempt(play.group("r"))
        assert play.group("r").awaited == ["r#1"]

    def test_who_only_proposes_is_not_given_attempts(self) -> None:
        play = Play()
        play.propose("p")
        assert next_work(play, "a", roles=["propose"]) == [ToPropose("a", "deduction")]
        assert next_work(play, "b", roles=["solve"]) == [ToAttempt(play.group("p/rating"))]

    def test_new_work_begins_where_the_least_of_the_quota_is_under_way(self) -> None:
        # Quotas 2 and 8 a type, two attempts a rating. Nothing is under way: the order of types, proposing first.
        play = Play(TWO_TYPES)
        assert next_work(play, *"abcdef") == [
            ToPropose("a", "deduction"),  # deduction: proposing 1/2, solving 2/8
            ToPropose("b", "abduction"),  # abduction: proposing 1/2, solving 2/8
            ToReplay("c", "deduction"),  # solving 4/8
            ToReplay("d", "abduction"),  # solving 4/8
            ToPropose("e", "deduction"),  # all at one half: proposing first; now 2/2 and 6/8
            ToPropose("f", "abduction"),
        ]

    def test_a_type_whose_buffer_is_empty_is_not_replayed(self) -> None:
        play = Play(TWO_TYPES)
        work = play.experience.next_work("solver", ["a", "b"], 0.0, roles=["solve"], dry=["deduction"])
        assert work == [ToReplay("a", "abduction"), ToReplay("b", "abduction")]
        assert play.experience.next_work("solver", ["c"], 0.0, roles=["solve"], dry=TWO_TYPES.task_types) == []

    def test_but_it_may_be_proposed(self) -> None:
        work = Play().experience.next_work("proposer", ["a"], 0.0, roles=["propose"], dry=["deduction"])
        assert work == [ToPropose("a", "deduction")]


class TestGranting:
    def test_no_more_is_given_than_is_admitted_counting_what_was_given_in_the_same_answer(self) -> None:
        play = Play()  # One step ahead: at most two proposals, each with two attempts.
        assert next_work(play, *"abc", roles=["propose"]) == [ToPropose("a", "deduction"), ToPropose("b", "deduction")]
        assert next_work(play, "c", roles=["propose"]) == []
        assert play.experience.book.admission.outstanding(PROPOSE) == 2

    def test_a_replay_holds_nothing_until_it_has_a_task(self) -> None:
        play = Play(LIMITS._replace(propose=0))
        assert len(next_work(play, *"abcde")) == 4  # (1 + 1)·4 slots in groups of two
        assert play.experience.book.admission.outstanding(SOLVE) == 0
        tasks = [(name, "deduction", f"task {name}") for name in "abcde"]
        answers = play.experience.replay_many(tasks, "solver", 0.0)
        assert answers == [None, None, None, None, Refusal(SOLVE, 0)]
        assert play.group("c").task == "task c"

    def test_asking_again_with_the_same_names_grants_nothing_twice_and_is_a_sign_of_life(self) -> None:
        play = Play()
        given = next_work(play, "a", roles=["propose"])
        written = len(play.events)
        assert next_work(play, "a", roles=["propose"], now=5.0) == given
        assert len(play.events) == written
        assert play.experience.expire(10.0) == []
        assert play.experience.expire(15.0) == ["a"]

    def test_asking_again_under_the_name_of_a_replay_that_was_admitted_gives_its_attempts(self) -> None:
        play = Play()
        play.replay("r")
        assert next_work(play, "r") == [ToAttempt(play.group("r"))]

    def test_a_name_is_used_once_though_it_is_said_twice(self) -> None:
        play = Play()
        assert next_work(play, "a", "a", roles=["propose"]) == [ToPropose("a", "deduction")]

    def test_a_name_whose_group_is_done_is_refused_and_nothing_happens(self) -> None:
        play = Play()
        play.propose("p", valid=False)
        with pytest.raises(LedgerError, match="group p is opened again but is ready already"):
            next_work(play, "a", "p")
        assert "a" not in play.experience.book.groups

    def test_silent_owners_lose_what_they_were_given(self) -> None:
        play = Play()
        play.propose("p")
        next_work(play, "a", roles=["propose"])
        next_work(play, "b", roles=["solve"])
        assert sorted(play.experience.expire(10.0)) == ["a", "p/rating"]
        assert next_work(play, "c", roles=["solve"]) == [ToAttempt(play.group("p/rating"))]

    def test_one_answer_is_one_record_of_the_journal(self) -> None:
        records: list[int] = []
        experience = Experience(TWO_TYPES, record=lambda happened: records.append(len(happened)))
        experience.next_work("proposer", "abcd", 0.0, roles=["propose"])
        experience.replay_many([(name, "deduction", "task") for name in "ef"], "solver", 0.0)
        assert records == [4, 2]

    def test_if_recording_fails_nothing_has_happened(self) -> None:
        play = Play(TWO_TYPES)
        play.propose("p")

        def full(happened: object) -> None:
            raise OSError("disk full")

        play.experience._record_events = full
        with pytest.raises(OSError, match="disk full"):
            next_work(play, "a", "b")
        assert "a" not in play.experience.book.groups
        play.experience._record_events = None
        assert next_work(play, "b", roles=["solve"]) == [ToAttempt(play.group("p/rating"))]


class TestReplayMany:
    """Without proposals there is room for four groups."""

    def admit(self, play: Play, names: str) -> list[Refusal | None]:
        return play.experience.replay_many([(name, "deduction", "task") for name in names], "solver", 0.0)

    def test_each_is_answered_in_its_order(self) -> None:
        assert self.admit(Play(LIMITS._replace(propose=0)), "abcde") == [None] * 4 + [Refusal(SOLVE, 0)]

    def test_those_that_were_admitted_are_admitted_again(self) -> None:
        play = Play(LIMITS._replace(propose=0))
        self.admit(play, "abcd")
        written = len(play.events)
        assert self.admit(play, "aa") == [None, None]
        assert len(play.events) == written

    def test_one_said_twice_is_opened_once(self) -> None:
        play = Play(LIMITS._replace(propose=0))
        assert self.admit(play, "aabcd") == [None] * 5
        assert play.experience.book.admission.outstanding(SOLVE) == 8


@dataclasses.dataclass
class World:
    """Actors of random speed play the game until batches are full; attempts may be a hundred times slower."""

    seed: int

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        size, propose = self.random.randrange(1, 4), self.random.randrange(1, 5)
        groups = propose + self.random.randrange(0, 5)
        self.limits = Limits(
            max_staleness=self.random.choice((0, 1, 4)),
            propose=propose,
            solve=size * groups,
            attempts=size,
            replay_attempts=size,
            replay_share=self.random.choice((0.0, 0.25, 1.0)),
            task_types=("deduction", "abduction", "induction"),
        )
        self.quotas = [Quota(Cell(task, "propose"), propose) for task in self.limits.task_types]
        self.quotas += [Quota(Cell(task, "solve"), groups, size) for task in self.limits.task_types]
        self.experience = Experience(self.limits)
        self.actors = self.random.randrange(1, 12)
        self.validity = self.random.choice((0.0, 0.05, 0.5, 1.0))
        self.running: list[tuple[float, str, list[Sample]]] = []
        self.begun: Counter[Cell] = Counter()
        self.names = 0
        self.now = 0.0

    def begin(self) -> bool:
        self.names += 1
        works = self.experience.next_work("actor", [f"g{self.names}"], self.now)
        for work in works:
            match work:
                case ToAttempt(group):
                    self.start(group.cell, group.awaited, self.random.uniform(0.1, 100))
                case ToPropose(name, task_type):
                    self.start(Cell(task_type, "propose"), [f"{name}#0"], 1.0)
                case ToReplay(name, task_type):
                    assert replay(self.experience, name, task_type, "task", "actor", self.now) is None
                    group = self.experience.book.group(name)
                    self.start(group.cell, group.awaited, self.random.uniform(0.1, 100))
        return bool(works)

    def start(self, cell: Cell, names: list[str], slowness: float) -> None:
        self.begun[cell] += len(names)
        made = (self.experience.book.published,)
        samples = [Sample(id=name, group=name.rpartition("#")[0], cell=cell, tokens=1, versions=made) for name in names]
        heapq.heappush(self.running, (self.now + slowness * self.random.expovariate(1.0), names[0], samples))

    def finish(self) -> None:
        self.now, _, samples = heapq.heappop(self.running)
        if samples[0].cell.role == "propose":
            self.experience.judge_many([(samples[0], "task" if self.random.random() < self.validity else None)])
        else:
            self.experience.attempt_many(samples)

    def play(self, steps: int) -> None:
        plan = BatchPlan(tuple(self.quotas))
        for step in range(steps):
            while not isinstance(self.experience.take(Version(0, step), plan), Batch):
                while len(self.running) < self.actors and self.begin():
                    pass
                assert self.running, f"seed {self.seed}: nobody works, and the batch of step {step} is not full"
                self.finish()
            self.experience.commit(Version(0, step))
            self.experience.publish(Version(0, step + 1))


@pytest.mark.parametrize("seed", range(40))
def test_no_cell_starves_and_no_more_is_begun_than_batches_need_under_random_speeds(seed: int) -> None:
    world = World(seed)
    world.play(steps=4)
    ahead = 4 + world.limits.max_staleness + 1
    for quota in world.quotas:
        overdrawn = world.limits.propose * world.limits.rating_slots if quota.cell.role == "solve" else 0
        assert world.begun[quota.cell] <= ahead * quota.sequences + 2 * overdrawn


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_no_cell_starves_in_two_thousand_random_worlds() -> None:
    for seed in range(1000, 3000):
        World(seed).play(steps=4)
