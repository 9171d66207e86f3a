"""A small game for the tests of services and players: its configuration, its seeds, and a learner's stand-in."""

from __future__ import annotations

import time
from pathlib import Path

from actors.services.experience_client import ExperienceClient
from actors.services.task_client import TaskClient
from azr.config.root import Config
from azr.game.gate import GateRules
from azr.game.plan import drive
from azr.game.seeding import retyped
from azr.game.tasks import task_type
from azr.game.types import Candidate, Task, Version
from azr.ledger.experience import Batch
from sandbox_wasm.protocol import Sandbox
from tests.actors.scripted import INPUTS, publish


def small_config(model: Path, *, shards: int = 1) -> Config:
    """Six cells, small quotas, quick heartbeats."""
    config = Config()
    config.run.name = "test"
    config.model.path, config.model.frame = str(model), "compact"
    config.algorithm.game.references = 2
    config.algorithm.batch.propose, config.algorithm.batch.solve = 6, 32
    config.algorithm.batch.attempts_per_task = config.algorithm.rating.attempts = 4
    config.gating.induction_inputs, config.gating.induction_shown = INPUTS, INPUTS // 2
    config.lengths.prompt = config.lengths.content = 2000
    config.lengths.response = 200
    config.staleness.max_staleness = 2
    config.sandbox.timeout_seconds, config.sandbox.wall_seconds = 1.0, 10.0
    actors = config.actors
    actors.experience_shards = actors.task_shards = shards
    actors.proposer_lanes, actors.solver_lanes = 8, 8
    actors.heartbeat_seconds, actors.silence_seconds, actors.grace_seconds, actors.poll_seconds = 0.5, 5.0, 3.0, 0.5
    actors.reference_pool = 16
    return config


def seed_tasks(sandbox: Sandbox, config: Config, count: int = 6) -> list[Task]:
    """Tasks of all three types, through the gate."""
    rules = GateRules.of(config)
    seeds: list[Task] = []
    for number in range(count):
        program = f"def f(x):\n    return x + {100_000 + number}"
        triplet = drive(task_type("deduction").gate(Candidate(program=program, inputs=(str(number),)), rules), sandbox)
        inputs = tuple(str(10 * number + place) for place in range(INPUTS))
        candidate = Candidate(program=program, inputs=inputs, message="adds a number")
        induction = drive(task_type("induction").gate(candidate, rules), sandbox)
        assert isinstance(triplet, Task)
        assert isinstance(induction, Task)
        seeds += [triplet, retyped(triplet, "abduction"), induction]
    return seeds


def taken(experience: ExperienceClient, consumer: Version, deadline_seconds: float) -> Batch:
    """The batch for a learner step, which is there in time."""
    batch = experience.take(consumer, deadline_seconds)
    assert batch is not None, experience.lacking(consumer)
    return batch


class Learner:
    """Takes, commits and publishes, and remembers what it trained on."""

    def __init__(self, experience: ExperienceClient, tasks: TaskClient, version_file: Path) -> None:
        self.experience, self.tasks, self.version_file = experience, tasks, version_file
        self.lineage = 0
        self.step = 0
        self.trained: dict[str, int] = {}
        """Samples trained on, and at which step."""
        self.batches: list[Batch] = []

    def train(self, deadline_seconds: float = 60.0) -> Batch:
        """One step."""
        at = Version(self.lineage, self.step)
        batch = taken(self.experience, at, deadline_seconds)
        for item in batch.items:
            assert item.sample.id not in self.trained, f"{item.sample.id} is trained on twice"
            self.trained[item.sample.id] = self.step
        self.experience.commit(at)
        self.step += 1
        publish(self.version_file, Version(self.lineage, self.step))
        self.tasks.advance(self.step)
        self.experience.publish(Version(self.lineage, self.step))
        self.experience.keep([self.step - 1, self.step])
        self.batches.append(batch)
        return batch

    def train_until(self, seconds: float) -> None:
        """Steps for so long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.train()
