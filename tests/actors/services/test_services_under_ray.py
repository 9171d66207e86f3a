"""Both services as Ray actors, with one shard and with three: batches, steps, restarts, checkpoints."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from actors.services import start as services_module
from actors.services.calls import Service, ServiceError
from actors.services.experience_client import ShardMismatchError
from actors.services.for_players import PlayerExperience, PlayerTasks
from actors.services.split import named, shard_of_name
from actors.services.start import Services
from azr.config.sections.staleness import StalenessConfig
from azr.game.types import Cell, Task, Version
from azr.ledger.events import Rating
from azr.ledger.ledger import LedgerError, Sample
from azr.ledger.work import ToAttempt, ToPropose, ToReplay
from azr.metrics import Accumulator
from azr.run.gathering import tell_books, tell_stocks, trained_share
from azr.run.source import RunSource, Setting
from tests.actors.games import small_config, taken
from tests.run.books import LocalHub

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("ray_cluster")]


@pytest.fixture
def services(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Services]:
    """Of as many shards as the test asks for, or one."""
    started = started_in(tmp_path, getattr(request, "param", 1))
    yield started
    services_module.stop(started)


one_and_three = pytest.mark.parametrize("services", [1, 3], ids=["one-shard", "three-shards"], indirect=True)
three = pytest.mark.parametrize("services", [3], ids=["three-shards"], indirect=True)


def started_in(folder: Path, shards: int, name: str = "test") -> Services:
    config = small_config(folder, shards=shards)
    config.run.name = name
    return services_module.start(config, folder)


class Hands:
    """A player without model or sandbox: does whatever the experience gives out, until it gives nothing."""

    def __init__(self, services: Services, owner: str = "hands-0@1", step: int = 0) -> None:
        self.experience = PlayerExperience(services.experience.shards, owner)
        self.version = Version(0, step)
        self.acknowledged: list[str] = []
        self._count = 0
        self._proposing: Counter[int] = Counter()

    async def work(self, lanes: int = 4) -> None:
        self._proposing = Counter(dict.fromkeys(range(len(self.experience.shards)), lanes))
        await asyncio.gather(
            *(
                self._lane(shard, role)
                for shard in range(len(self.experience.shards))
                for role in ("propose", "solve")
                for _ in range(lanes)
            )
        )

    async def _lane(self, shard: int, role: str) -> None:
        """Whoever solves goes on while anybody proposes: on a busy machine a proposal takes longer than the wait."""
        while True:
            self._count += 1
            more_may_come = role == "solve" and self._proposing[shard] > 0
            name = named(shard, f"{self.experience.owner}/{self._count}")
            works = await self.experience.next_work(shard, [name], (role,), (), 0.3)  # type: ignore[arg-type]
            if not works and more_may_come:
                continue
            if not works:
                self._proposing[shard] -= role == "propose"
                return
            (work,) = works
            if isinstance(work, ToPropose):
                await self.experience.judged(self._sample(work.group, 0, work.task_type, "propose"), f"0.{work.group}")
                self.acknowledged.append(f"{work.group}#0")
                continue
            if isinstance(work, ToReplay):
                if await self.experience.replay(work.group, work.task_type, "0.old") is not None:
                    continue
                await self._attempt(work.group, work.task_type, [f"{work.group}#{index}" for index in range(4)])
            elif isinstance(work, ToAttempt):
                await self._attempt(work.group.id, work.group.task_type, work.group.awaited)

    async def _attempt(self, group: str, task_type: str, names: list[str]) -> None:
        await self.experience.attempted(
            [self._sample(group, int(name.rpartition("#")[2]), task_type, "solve") for name in names]
        )
        self.acknowledged += names

    def _sample(self, group: str, index: int, task_type: str, role: str) -> Sample:
        cell = Cell(task_type, "propose" if role == "propose" else "solve")
        name = f"{group}#{index}"
        return Sample(id=name, group=group, cell=cell, tokens=3, versions=(self.version,), body=name.encode())


def kill(kind: str, number: int = 0) -> None:
    """SIGKILL one actor of this class."""
    deadline = time.monotonic() + 20
    victims: list[psutil.Process] = []
    while not victims:
        assert time.monotonic() < deadline, f"there is no {kind} to kill"
        time.sleep(0.02)
        victims = [process for process in psutil.Process().children(recursive=True) if kind in command_of(process)]
    os.kill(victims[number % len(victims)].pid, signal.SIGKILL)


def command_of(process: psutil.Process) -> str:
    """What it runs; nothing when it is gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@three
def test_a_batch_is_whole_over_all_shards_and_brings_its_bodies(services: Services) -> None:
    asyncio.run(Hands(services).work())
    batch = taken(services.experience, Version(0, 0), 10)
    assert Counter(str(item.sample.cell) for item in batch.items) == {
        "deduction/propose": 6,
        "abduction/propose": 6,
        "induction/propose": 6,
        "deduction/solve": 32,
        "abduction/solve": 32,
        "induction/solve": 32,
    }
    assert all(item.sample.body == item.sample.id.encode() for item in batch.items)
    shards = {shard_of_name(item.group.id) for item in batch.items}
    assert shards == set(range(len(services.experience.shards)))
    again = taken(services.experience, Version(0, 0), 10)
    assert sorted(item.sample.id for item in again.items) == sorted(item.sample.id for item in batch.items)


@one_and_three
def test_steps_go_on_over_commits_and_publications(services: Services) -> None:
    seen: set[str] = set()
    for step in range(3):
        asyncio.run(Hands(services, f"hands-{step}@1", step).work())
        batch = taken(services.experience, Version(0, step), 10)
        names = {item.sample.id for item in batch.items}
        assert not names & seen
        seen |= names
        for _ in range(2):  # whoever did not hear the answer asks again
            services.experience.commit(Version(0, step))
            services.experience.publish(Version(0, step + 1))
            services.experience.keep([step, step + 1])
    services.experience.assert_closed()
    assert services.experience.lineage() == Version(0, 3)
    books = services.experience.statistics()
    assert sum(books_.accounts["deduction/solve"].trained.samples for books_ in books) == 96
    tell_books(metrics := Accumulator(), books, StalenessConfig())
    assert metrics.report()["ledger/trained/deduction/solve"] == 96
    assert 0.0 < (trained_share(books, 0.0) or 0.0) <= 1.0


def test_without_a_batch_what_is_lacking_names_what_each_cell_lacks_and_who_is_at_work(services: Services) -> None:
    async def begin() -> None:
        hands = Hands(services, "hands-7@1")
        await hands.experience.next_work(0, [named(0, f"{hands.experience.owner}/1")], ["propose"], (), 0.0)

    asyncio.run(begin())
    began = time.monotonic()
    assert services.experience.take(Version(0, 0), 1.5) is None
    assert 1.4 <= time.monotonic() - began < 10
    lacking = services.experience.lacking(Version(0, 0))
    assert "induction/solve" in lacking
    assert "hands-7@1@0 1" in lacking, "player, life, and how many groups it is at"


def test_a_learner_that_waits_is_given_its_batch_as_soon_as_it_is_there(services: Services) -> None:
    sizes: list[int] = []

    def learn() -> None:
        sizes.append(len(taken(services.experience, Version(0, 0), 30).items))

    learner = threading.Thread(target=learn)
    learner.start()
    time.sleep(0.2)
    assert not sizes
    asyncio.run(Hands(services).work())
    learner.join(10)
    assert sizes == [114]


@three
def test_a_resume_undoes_later_steps_on_all_shards(services: Services) -> None:
    for step in range(2):
        asyncio.run(Hands(services, f"hands-{step}@1", step).work())
        taken(services.experience, Version(0, step), 10)
        services.experience.keep([0, step])
        services.experience.commit(Version(0, step))
        services.experience.publish(Version(0, step + 1))
    services.experience.resume(Version(0, 1), 1)
    services.experience.resume(Version(0, 1), 1)
    assert {position.checkpoints for position in services.experience.positions()} == {(0, 1)}
    assert services.experience.lineage() == Version(1, 1)
    with pytest.raises(LedgerError, match="lineage"):
        services.experience.commit(Version(0, 1))
    batch = taken(services.experience, Version(1, 1), 10)
    assert len(batch.items) == 114
    assert all(item.sample.body == item.sample.id.encode() for item in batch.items)
    services.experience.assert_closed()


@three
def test_a_learner_killed_between_the_commits_of_two_shards_comes_back(services: Services, tmp_path: Path) -> None:
    asyncio.run(Hands(services).work())
    taken(services.experience, Version(0, 0), 10)
    services.experience.shards[0].call("commit", Version(0, 0))
    setting = Setting(small_config(tmp_path, shards=3), tmp_path, services.experience, services.tasks, LocalHub())
    source = RunSource(setting)
    source.begin(0)
    assert source.lineage == 1
    assert {(place.lineage, place.next_step) for place in services.experience.positions()} == {(1, 0)}
    assert len(taken(services.experience, Version(1, 0), 10).items) == 114
    services.experience.assert_closed()


@three
def test_shards_killed_at_work_lose_nothing_that_was_acknowledged(services: Services) -> None:
    hands = Hands(services)

    def strike() -> None:
        for number in range(2):
            time.sleep(0.3)
            kill("ExperienceShard", number)

    striker = threading.Thread(target=strike)
    striker.start()
    asyncio.run(hands.work(lanes=2))
    striker.join()
    asyncio.run(hands.work(lanes=2))
    services.experience.assert_closed()
    batch = taken(services.experience, Version(0, 0), 20)
    services.experience.commit(Version(0, 0))
    kill("ExperienceShard")
    services.experience.commit(Version(0, 0))
    books = services.experience.statistics()
    generated = sum(account.generated.samples for part in books for account in part.accounts.values())
    assert len(set(hands.acknowledged)) == len(hands.acknowledged)
    assert generated >= len(hands.acknowledged)
    assert sum(part.accounts["deduction/solve"].trained.samples for part in books) == 32
    assert len(batch.items) == 114


def tasks(count: int, kind: str = "deduction") -> list[Task]:
    return [
        Task(
            id=f"{kind}-{number}",
            task_type=kind,
            program=f"def f(x):\n    return x + {number}",
            inputs=("1",),
            outputs=(str(1 + number),),
            normal_form=f"form-{number}",
            fingerprint=f"mark-{number}",
        )
        for number in range(count)
    ]


@three
def test_tasks_live_in_the_shard_of_their_program_and_are_found_by_their_address(services: Services) -> None:
    given = tasks(60)
    assert all(services.tasks.add_many(given))
    assert services.tasks.count() == 60
    client = PlayerTasks(services.tasks.shards)

    async def look() -> None:
        found = [await client.fetch("deduction", client.address(task)) for task in given]
        assert found == given
        assert await client.fetch("deduction", "0.deduction-none") is None
        drawn = [await client.draw("deduction", number) for number in range(60)]
        assert {task.id for task in drawn if task} == {task.id for task in given}
        assert await client.draw("deduction", 0) is None
        await client.give_back(given[3])
        again = await client.draw("deduction", 0)
        assert again is not None
        assert again.id == given[3].id
        await client.rate("deduction", client.address(given[3]), "0.s/1", Rating(2, 4, Version(0, 0)))
        shown = await client.references(["deduction"], 10, 1)
        assert len({task.id for task in shown}) == 10

    asyncio.run(look())
    tell_stocks(metrics := Accumulator(), services.tasks.statistics())
    report = metrics.report()
    assert report["buffer/tasks/deduction"] == 60
    assert report["buffer/out/deduction"] == 59


def test_tasks_outlast_the_death_of_their_service(services: Services) -> None:
    services.tasks.add_many(tasks(30))
    kill("TaskShard")
    assert services.tasks.count() == 30
    services.tasks.advance(3)
    assert {stock.step for stock in services.tasks.statistics()} == {3}


def test_an_addition_that_is_asked_again_is_not_taken_for_a_duplicate(services: Services) -> None:
    (task,) = tasks(1)
    shard = services.tasks.shards[0]
    assert shard.call("add_many", [task], True, False) == [True]
    assert shard.call("add_many", [task], True, False) == [False], "somebody else's"
    assert shard.call("add_many", [task], True, True) == [True], "its own, whose answer was lost"


@three
def test_a_checkpoint_of_both_services_comes_back_in_another_run(services: Services, tmp_path: Path) -> None:
    asyncio.run(Hands(services).work())
    services.tasks.add_many(tasks(20))
    experience, stock = services.experience.snapshot(), services.tasks.snapshot()
    shards = len(services.experience.shards)
    other = started_in(tmp_path / "other", shards, "other")
    try:
        other.experience.restore(experience)
        other.tasks.restore(stock)
        other.experience.assert_closed()
        assert len(taken(other.experience, Version(0, 0), 10).items) == 114
        assert other.tasks.count() == 20
        with pytest.raises(ShardMismatchError, match="cannot be read"):
            type(other.experience)(other.experience.shards * 2).restore(experience)
    finally:
        services_module.stop(other)


def test_a_service_that_never_answers_is_named_with_what_was_asked(services: Services) -> None:
    shard = services.experience.shards[0]
    with pytest.raises(ServiceError, match="experience-0 did not answer `next_work`"):
        Service(shard.name, shard.actor_name, 0.3).call("next_work", "o@1", [], ("solve",), (), 5.0)
