"""Journals of task shards that are lost, or older than a checkpoint: noticed, and mended from its snapshot alone."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.services.task_client import TaskClient
from azr.buffers import Estimate
from azr.game.types import Version
from azr.run.batches import Memory
from azr.run.checkpoint import RunState, write_state
from azr.run.source import RunSource, Setting
from learner.checkpoint import checkpoint_folder
from tests.actors.games import small_config
from tests.actors.local import Desk, LocalService
from tests.buffers.tasks import task
from tests.run.books import LocalExperience, LocalHub, config


class Called:
    """A shard in this process that is asked as the run asks: until it has answered."""

    def __init__(self, local: LocalService) -> None:
        self.name, self._local = local.name, local

    def call(self, method: str, *arguments: Any, mark_again: bool = False) -> Any:
        return asyncio.run(self._local.ask(method, *arguments, mark_again=mark_again))


class Shelves:
    """The task shards of a run whose experience is whole, and a learner that restarts at will."""

    def __init__(self, folder: Path, shards: int) -> None:
        self.folder, self.shards = folder, shards
        self.hub, self.experience = LocalHub(), LocalExperience(config())
        (folder / "checkpoints").mkdir()
        self._open()

    def _open(self) -> None:
        self.desk = Desk(small_config(self.folder, shards=self.shards), self.folder)
        self.client = TaskClient([Called(local) for local in self.desk.tasks])  # type: ignore[misc]

    def close(self) -> None:
        asyncio.run(self.desk.close())

    def reopen(self, *lost: int, copy: Path | None = None) -> None:
        """Another driver begins; journals of these shards are gone, or as they were when they were copied."""
        self.close()
        for shard in lost:
            shutil.rmtree(self.folder / "journal" / f"tasks-{shard}")
            if copy:
                shutil.copytree(copy / f"tasks-{shard}", self.folder / "journal" / f"tasks-{shard}")
        self._open()

    def checkpoint(self, step: int) -> None:
        """As the learner writes it, with the books that far."""
        for done in range(step):
            self.experience.fill(done)
            self.experience.take(Version(0, done), 0.0)
            self.experience.commit(Version(0, done))
            self.experience.publish(Version(0, done + 1))
        folder = checkpoint_folder(self.folder / "checkpoints", step)
        folder.mkdir()
        state = RunState.of(Version(0, step), Memory())
        write_state(folder, state, experience=self.experience.snapshot(), tasks=self.client.snapshot())

    def begin(self, step: int) -> RunSource:
        made = Setting(config(), self.folder / "checkpoints", self.experience, self.client, self.hub)
        (source := RunSource(made)).begin(step)
        return source

    def held(self) -> set[str]:
        buffers = [local.shard.tasks.buffers["deduction"] for local in self.desk.tasks]
        return {f"task-{number}" for number in range(60) if any(f"task-{number}" in buffer for buffer in buffers)}


@pytest.fixture
def shelves(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shelves]:
    opened = Shelves(tmp_path, request.param)
    yield opened
    opened.close()


one = pytest.mark.parametrize("shelves", [1], indirect=True)
two = pytest.mark.parametrize("shelves", [2], indirect=True)


def all_but(*numbers: int) -> set[str]:
    return {f"task-{number}" for number in range(20) if number not in numbers}


@one
def test_the_only_journal_of_tasks_is_lost_and_they_come_back_with_their_ratings_and_generators(
    shelves: Shelves,
) -> None:
    shelves.client.add_many([task(number) for number in range(20)])
    shelves.client.shards[0].call("rate_many", "deduction", [Estimate("task-3", 2, 4, 1, group="0.s/1")])
    shelves.client.advance(2)
    shelves.checkpoint(2)
    before = shelves.client.statistics()[0]
    shelves.reopen(0)
    assert shelves.client.count() == 0, "nobody else would notice: the seeds would be taken up again"
    shelves.begin(2)
    after = shelves.client.statistics()[0]
    assert (after.buffers, after.step) == (before.buffers, 2)
    assert shelves.hub.said == [
        "the journal of tasks-0 is lost, or older than the checkpoint of step 2: taking up its snapshot"
    ]
    assert shelves.experience.calls[-1] == "publish 0.2", "the experience is left as it is"
    again = shelves.client.shards[0].call("rate_many", "deduction", [Estimate("task-3", 2, 4, 1, group="0.s/1")])
    assert again == 0, "what was rated before the checkpoint is not rated twice"


@two
def test_one_of_two_journals_is_lost_and_the_other_keeps_what_came_after_the_checkpoint(shelves: Shelves) -> None:
    shelves.client.add_many([task(number) for number in range(20)])
    shelves.client.advance(1)
    shelves.checkpoint(1)
    shelves.client.add_many([task(number) for number in range(20, 40)])
    shelves.client.advance(2)
    kept = {f"task-{number}" for number in range(20, 40)} & {
        f"task-{number}"
        for number in range(60)
        if f"task-{number}" in shelves.desk.tasks[0].shard.tasks.buffers["deduction"]
    }
    assert 0 < len(kept) < 20
    shelves.reopen(1)
    shelves.begin(1)
    assert shelves.held() == all_but() | kept
    assert shelves.hub.said[0].startswith("the journal of tasks-1 is lost")


@two
def test_a_journal_of_an_earlier_time_is_noticed_by_the_step_it_knows(shelves: Shelves, tmp_path: Path) -> None:
    shelves.client.add_many([task(number) for number in range(10)])
    shelves.client.advance(0)
    shutil.copytree(tmp_path / "journal", tmp_path / "copy")
    shelves.client.add_many([task(number) for number in range(10, 20)])
    shelves.client.advance(1)
    shelves.checkpoint(1)
    shelves.reopen(0, copy=tmp_path / "copy")
    assert shelves.held() < all_but()
    shelves.begin(1)
    assert shelves.held() == all_but()


@two
def test_a_journal_from_before_the_learner_went_back_is_older_though_it_knows_a_later_step(
    shelves: Shelves, tmp_path: Path
) -> None:
    shelves.client.add_many([task(number) for number in range(10)])
    shelves.client.advance(9)
    shutil.copytree(tmp_path / "journal", tmp_path / "copy")
    shelves.client.resume(Version(1, 1))
    shelves.client.add_many([task(number) for number in range(10, 20)])
    shelves.checkpoint(1)
    shelves.reopen(0, copy=tmp_path / "copy")
    assert shelves.held() < all_but()
    shelves.begin(1)
    assert shelves.held() == all_but()


@two
def test_journals_that_are_whole_are_left_alone(shelves: Shelves) -> None:
    """However far weights lag behind a checkpoint when the driver dies: the snapshot knows no more than they."""
    shelves.client.add_many([task(number) for number in range(20)])
    shelves.client.advance(0)
    shelves.checkpoint(2)
    shelves.client.add_many([task(30)])
    shelves.reopen()
    shelves.begin(2)
    assert shelves.held() == all_but() | {"task-30"}
    assert shelves.hub.said == []
