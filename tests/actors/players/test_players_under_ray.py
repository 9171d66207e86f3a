"""Proposers and solvers as Ray actors, with services and a sandbox that are real and a model that follows a script."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.players import start as players
from actors.services import start as service_actors
from actors.services.start import Services
from azr.config.root import Config
from azr.game.types import Attempt, Proposal, Task, Version
from azr.game.wire import decode
from azr.metrics.accumulator import merged
from sandbox_wasm.protocol import Sandbox
from tests.actors.games import Learner, seed_tasks, small_config
from tests.actors.scripted import ScriptedEngines, publish, save_tokenizer

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("ray_cluster")]


class Room:
    """Services, players and a learner's stand-in."""

    def __init__(self, config: Config, folder: Path, services: Services) -> None:
        self.config, self.folder, self.services = config, folder, services
        self.engines = ScriptedEngines(Path(config.model.path), folder / "version", poison="+ 100001\n")
        self.players: dict[str, Any] = players.start(config, services, self.engines, folder)
        self.learner = Learner(services.experience, services.tasks, folder / "version")
        self.poisoned: Task

    def pid(self, name: str) -> int:
        return players.Reports(self.players)()[f"azr-test-{name}"].pid


@pytest.fixture(scope="module")
def room(ray_cluster: None, tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox) -> Iterator[Room]:
    """One game for all tests of this module: each goes on where the last one ended."""
    folder = tmp_path_factory.mktemp("room")
    save_tokenizer(folder / "model")
    publish(folder / "version", Version(0, 0))
    config = small_config(folder / "model", shards=2)
    services = service_actors.start(config, folder)
    seeds = seed_tasks(sandbox, config)
    services.tasks.add_many(seeds)
    made = Room(config, folder, services)
    made.poisoned = next(task for task in seeds if "+ 100001" in task.program and task.task_type == "deduction")
    yield made
    players.stop(made.players, 5.0)
    service_actors.stop(services)


def test_all_six_cells_fill_in_their_quotas(room: Room) -> None:
    for _ in range(3):
        batch = room.learner.train()
        assert Counter(str(item.sample.cell) for item in batch.items) == {
            "deduction/propose": 6,
            "abduction/propose": 6,
            "induction/propose": 6,
            "deduction/solve": 32,
            "abduction/solve": 32,
            "induction/solve": 32,
        }


def test_bodies_are_whole_and_agree_with_the_books(room: Room) -> None:
    batch = room.learner.train()
    for item in batch.items:
        if item.sample.cell.role == "solve":
            attempt = decode(item.sample.body, Attempt)
            assert attempt.verdict.correct == item.sample.correct
            assert item.group.task.endswith(attempt.task_id)
            trajectory = attempt.trajectory
        else:
            proposal = decode(item.sample.body, Proposal)
            assert (proposal.task is None) == (item.group.rating is None)
            trajectory = proposal.trajectory
        assert trajectory.id == item.sample.id
        assert len(trajectory.response_ids) == item.sample.tokens
        assert tuple(span.version for span in trajectory.spans) == item.sample.versions


def test_a_group_is_attempted_by_one_request_and_its_samples_differ(room: Room) -> None:
    batch = room.learner.train()
    texts: dict[str, set[bytes]] = {}
    for item in batch.items:
        if item.sample.cell.role == "solve":
            attempt = decode(item.sample.body, Attempt)
            texts.setdefault(item.group.id, set()).add(attempt.trajectory.response_ids.tobytes())
    assert max(map(len, texts.values())) > 1


@pytest.mark.parametrize("name", ["proposer-0", "solver-0"])
def test_a_player_that_is_killed_is_back_by_itself_and_the_game_goes_on(room: Room, name: str) -> None:
    before = room.pid(name)
    os.kill(before, signal.SIGKILL)
    began = time.monotonic()
    for _ in range(4):
        room.learner.train()
    while (pid := players.Reports(room.players)().get(f"azr-test-{name}")) is None or pid.pid == before:
        assert time.monotonic() - began < 60
        time.sleep(0.1)
    room.services.experience.assert_closed()


def test_a_sandbox_worker_that_is_killed_costs_nobody_anything(room: Room) -> None:
    for report in players.Reports(room.players)().values():
        os.kill(report.sandbox_workers[0], signal.SIGKILL)
    for _ in range(3):
        room.learner.train()
    assert {report.name for report in players.Reports(room.players)().values()} == {"proposer-0", "solver-0"}
    room.services.experience.assert_closed()


def test_a_poisoned_task_is_given_up_and_the_others_go_on(room: Room) -> None:
    deadline = time.monotonic() + 60
    while any(shard.call("fetch", "deduction", [room.poisoned.id])[0] for shard in room.services.tasks.shards):
        assert time.monotonic() < deadline, "nobody met the poison, or gave it up"
        room.learner.train()
    room.learner.train()
    room.services.experience.assert_closed()


def test_players_count_what_they_did(room: Room) -> None:
    players.Reports(room.players)()
    room.learner.train()
    room.learner.train()
    time.sleep(2 * room.config.actors.heartbeat_seconds)
    numbers = merged(players.metrics(players.Reports(room.players)())).report()
    assert numbers["player/done/propose"] > 0
    assert 0.0 < numbers["proposal/valid/deduction"] <= 1.0
    assert 0.0 < numbers["solve/accuracy/abduction"] < 1.0
    assert numbers["sandbox/executions"] > 0
    assert numbers["perf/memory/solver-0"] > 1 << 20
    assert 0.0 < numbers["player/lanes_busy/solve"] <= 1.0


def test_every_actor_writes_its_log_into_the_folder_of_the_run(room: Room) -> None:
    logs = {path.name for path in (room.folder / "logs").iterdir()}
    assert logs >= {"proposer-0.log", "solver-0.log", "experience-0.log", "experience-1.log", "tasks-0.log"}
    assert "started as process" in (room.folder / "logs" / "solver-0.log").read_text()


def test_players_that_are_told_to_stop_finish_what_they_have_and_leave_nothing(room: Room) -> None:
    assert players.stop(room.players, 20.0) == []
    room.players.clear()
    time.sleep(0.5)
    room.services.experience.assert_closed()
    too_old = Version(room.learner.lineage, room.learner.step + 10)  # for which no batch can be there
    lacking = room.services.experience.lacking(too_old)
    assert "at work: " in lacking
    assert "@" not in lacking, "nobody holds anything"
