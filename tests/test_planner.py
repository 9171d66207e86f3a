"""What an idle actor does next, by hand and under random speeds."""

from __future__ import annotations

import dataclasses
import heapq
import random
from collections import Counter
from dataclasses import dataclass

import pytest

from azr.game.planner import Demand, Work, next_work

FRESH = Demand("a", propose_quota=4, solve_quota=8, replay_quota=2)


def chosen(*demands: Demand, trained: bool = True) -> Work | None:
    return next_work(demands, ratings_are_trained=trained)


def test_a_task_that_waits_for_its_rating_goes_first() -> None:
    waiting = Demand("b", propose_quota=4, solve_quota=8, replay_quota=2, to_rate=1)
    assert chosen(FRESH, waiting) == Work("rate", "b")


def test_where_most_wait_goes_first_among_ratings() -> None:
    few, many = (dataclasses.replace(FRESH, task=task, to_rate=count) for task, count in (("a", 1), ("b", 3)))
    assert chosen(few, many) == Work("rate", "b")
    assert chosen(few, dataclasses.replace(many, to_rate=1)) == Work("rate", "a")


def test_a_rating_needs_no_room_because_admission_reserved_it() -> None:
    assert chosen(dataclasses.replace(FRESH, to_rate=1, may_solve=False, may_propose=False)) == Work("rate", "a")


def test_proposing_begins_a_batch() -> None:
    assert chosen(FRESH) == Work("propose", "a")


def test_the_larger_lack_as_a_share_of_its_quota_wins() -> None:
    # Proposals lack 1 of 4. Two groups are ready and four may come, so 2 of 8 are lacking: a tie, which proposing wins.
    rated = dataclasses.replace(FRESH, new_ready=2, proposing=3)
    assert chosen(rated) == Work("propose", "a")
    assert chosen(dataclasses.replace(rated, proposing=4)) == Work("solve", "a")
    # One ready group less makes it 3 of 8, which is more than 1 of 4.
    assert chosen(dataclasses.replace(rated, new_ready=1)) == Work("solve", "a")


def test_proposals_in_every_stage_count_as_begun() -> None:
    assert FRESH.propose_lack == 4
    assert dataclasses.replace(FRESH, proposing=1, rating=1, propose_ready=1).propose_lack == 1
    assert dataclasses.replace(FRESH, to_rate=5).propose_lack == 0


def test_buffered_tasks_fill_the_replay_quota_while_new_ones_may_still_come() -> None:
    # Four proposals may bring four groups, so of the eight only the replay quota of two (and two never coming) is
    # short: max(2, 8 - 4) = 4; with one running and one ready, max(0, 8 - 2 - 4) = 2.
    assert FRESH.solve_lack(ratings_are_trained=True) == 4
    assert dataclasses.replace(FRESH, solving=1, replay_ready=1).solve_lack(ratings_are_trained=True) == 2


def test_buffered_tasks_make_up_for_proposals_that_the_gate_refused() -> None:
    # All four proposals are done and none was accepted: nothing new is coming, all eight are owed.
    assert dataclasses.replace(FRESH, propose_ready=4).solve_lack(ratings_are_trained=True) == 8
    # Two were accepted and rated: six are owed.
    assert dataclasses.replace(FRESH, propose_ready=4, new_ready=2).solve_lack(ratings_are_trained=True) == 6


def test_the_replay_quota_is_kept_though_new_tasks_could_fill_everything() -> None:
    flooded = dataclasses.replace(FRESH, propose_ready=4, new_ready=8)
    assert flooded.solve_lack(ratings_are_trained=True) == 2


def test_ratings_that_are_thrown_away_fill_nothing() -> None:
    rated = dataclasses.replace(FRESH, propose_ready=2, rating=2)
    assert rated.solve_lack(ratings_are_trained=False) == 8
    done = dataclasses.replace(rated, replay_ready=5, solving=2, new_ready=1)
    assert done.solve_lack(ratings_are_trained=False) == 0


def test_nothing_is_begun_that_admission_forbids() -> None:
    assert chosen(dataclasses.replace(FRESH, may_propose=False)) == Work("solve", "a")
    assert chosen(dataclasses.replace(FRESH, may_propose=False, may_solve=False)) is None


def test_a_batch_that_lacks_nothing_lets_actors_rest() -> None:
    assert chosen(dataclasses.replace(FRESH, propose_ready=4, new_ready=6, replay_ready=2)) is None
    assert chosen() is None


def test_the_solver_alone_never_proposes() -> None:
    assert chosen(Demand("a", propose_quota=0, solve_quota=8, replay_quota=8)) == Work("solve", "a")


def test_without_attempts_there_is_only_proposing() -> None:
    assert chosen(Demand("a", propose_quota=4, solve_quota=0, replay_quota=0, propose_ready=4)) is None


@dataclass
class World:
    """Actors of random speed play the game; every count that the planner sees is kept by hand here."""

    generator: random.Random
    actors: int
    validity: float
    trained: bool
    demands: dict[str, Demand]

    def __post_init__(self) -> None:
        self.begun: Counter[Work] = Counter()
        self.now = 0.0
        self.running: list[tuple[float, int, Work]] = []
        self.serial = 0

    def change(self, task: str, **by: int) -> None:
        demand = self.demands[task]
        self.demands[task] = dataclasses.replace(demand, **{key: getattr(demand, key) + n for key, n in by.items()})

    def begin(self) -> bool:
        """One idle actor asks for work; a group of attempts occupies it as a whole."""
        work = next_work(list(self.demands.values()), ratings_are_trained=self.trained)
        if work is None:
            return False
        if work.kind == "rate":
            self.change(work.task, to_rate=-1, rating=1)
        else:
            self.change(work.task, **{"proposing" if work.kind == "propose" else "solving": 1})
        self.begun[work] += 1
        self.serial += 1
        # Attempts may be a hundred times slower than proposals, or faster.
        slowness = {"propose": 1.0, "rate": self.generator.uniform(0.1, 100), "solve": self.generator.uniform(0.1, 100)}
        until = self.now + slowness[work.kind] * self.generator.expovariate(1.0)
        heapq.heappush(self.running, (until, self.serial, work))
        return True

    def finish(self) -> None:
        self.now, _, work = heapq.heappop(self.running)
        if work.kind == "propose" and self.generator.random() < self.validity:
            self.change(work.task, proposing=-1, to_rate=1)
        elif work.kind == "propose":
            self.change(work.task, proposing=-1, propose_ready=1)
        elif work.kind == "rate":
            self.change(work.task, rating=-1, propose_ready=1, new_ready=int(self.trained))
        else:
            self.change(work.task, solving=-1, replay_ready=1)

    def filled(self, task: str) -> bool:
        demand = self.demands[task]
        solved = demand.new_ready + demand.replay_ready
        return demand.propose_ready >= demand.propose_quota and solved >= demand.solve_quota

    def ship(self) -> None:
        """A batch leaves: the quotas are taken out, what is over stays for the next."""
        for task, demand in self.demands.items():
            replay = min(demand.replay_ready, max(demand.replay_quota, demand.solve_quota - demand.new_ready))
            new = min(demand.new_ready, demand.solve_quota - replay)
            self.change(task, propose_ready=-demand.propose_quota, replay_ready=-replay, new_ready=-new)


def play(seed: int, batches: int) -> World:
    generator = random.Random(seed)
    world = World(
        generator=generator,
        actors=generator.randrange(1, 12),
        validity=generator.choice([0.0, 0.05, 0.5, 1.0]),
        trained=generator.random() < 0.8,
        demands={
            task: Demand(task, propose, solve, replay_quota=round(solve * generator.random()))
            for task in "abc"
            for propose, solve in [(generator.randrange(1, 9), generator.randrange(1, 12))]
        },
    )
    for _ in range(batches):
        # No batch may need more work than all quotas, one rating a proposal and the surplus of a fan-out.
        allowed = sum(2 * d.propose_quota + 2 * d.solve_quota for d in world.demands.values()) + world.actors
        for _ in range(allowed + 1):
            while len(world.running) < world.actors and world.begin():
                pass
            if all(map(world.filled, world.demands)):
                break
            assert world.running, f"seed {seed}: nobody works though the batch is not full: {world.demands}"
            world.finish()
        assert all(map(world.filled, world.demands)), f"seed {seed}: a cell starves: {world.demands}"
        world.ship()
    return world


@pytest.mark.parametrize("seed", range(40))
def test_no_cell_starves_and_no_more_is_begun_than_batches_need_under_random_speeds(seed: int) -> None:
    world = play(seed, batches=4)
    for task, demand in world.demands.items():
        # Four batches, and at most one more under way.
        assert world.begun[Work("propose", task)] <= 5 * demand.propose_quota
        assert world.begun[Work("rate", task)] <= world.begun[Work("propose", task)]


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_no_cell_starves_in_two_thousand_random_worlds() -> None:
    for seed in range(2_000):
        play(seed, batches=4)
