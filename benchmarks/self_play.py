"""A whole self-play but for the learner, which is a stand-in: engines, services, players, and somebody who takes
batches and publishes weights. Shared by `benchmarks.rollouts` and the tests that kill its parts.

      Ray ─► replicas, registry ─► services, seeds ─► players ─► batches ─► StandIn: take, commit, publish the same
                                                                             weights under the next version
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ray import serve

from actors.engine.settings import EngineSettings
from actors.players import start as players
from actors.players.engines import Replicas
from actors.players.judge import open_pool
from actors.rollout.deployment import Rollouts
from actors.services import start as service_actors
from actors.services.start import Services
from azr.config.root import Config
from azr.game.gate import GateRules
from azr.game.plan import Plan, drive_many
from azr.game.seeding import retyped
from azr.game.tasks import task_type
from azr.game.types import Candidate, Refusal, Task, Version
from azr.ledger.experience import Batch
from azr.run.local_ray import ray_of
from azr.tiny.shipped import resolve
from azr.tiny.world import specimens


def small_config(model: str, name: str) -> Config:
    """What the embedded model plays on two cores."""
    config = Config()
    config.run.name = name
    config.model.path, config.model.frame = resolve(model), "compact"
    config.gating.induction_inputs, config.gating.induction_shown = 6, 3
    config.lengths.output, config.lengths.prompt, config.lengths.content = 64, 384, 384
    config.lengths.response = 128
    config.algorithm.game.references = 2
    config.algorithm.batch.propose, config.algorithm.batch.solve = 12, 128
    config.algorithm.batch.patience_seconds = 5.0
    config.sandbox.timeout_seconds = 0.5
    config.sandbox.options = {"instances": "restored"}
    config.rollout.kv_cache_mb = 64
    return config


def seeds(config: Config, count: int) -> list[Task]:
    """Tasks of all three types about programs of the tiny world, through the gate."""
    rules = GateRules.of(config)

    def judged(program: str, inputs: tuple[str, ...], message: str) -> Plan[tuple[Task | Refusal, Task | Refusal]]:
        single = Candidate(program=program, inputs=inputs[:1])
        many = Candidate(program=program, inputs=inputs, message=message)
        return (
            (yield from task_type("deduction").gate(single, rules)),
            (yield from task_type("induction").gate(many, rules)),
        )

    kept: list[Task] = []
    with open_pool(config.sandbox, 1) as sandbox:
        stream = specimens(sandbox, np.random.default_rng(config.run.seed), held_out=False)
        drawn = [next(stream) for _ in range(count)]
        plans = (judged(each.program.text, each.inputs, each.program.words) for each in drawn)
        for single, many in drive_many(plans, sandbox):
            kept += [many] if isinstance(many, Task) else []
            if isinstance(single, Task):
                kept += [single, retyped(single, "abduction")]
    return kept


class SelfPlay:
    """Everything that runs, for as long as the block of `self_play`."""

    def __init__(self, config: Config, folder: Path, rollouts: Rollouts, services: Services) -> None:
        self.config, self.folder, self.rollouts, self.services = config, folder, rollouts, services
        self.engines = Replicas.of_run(rollouts.settings, rollouts.registry_name)
        self.players: dict[str, Any] = {}
        self.learner = StandIn(self)

    def play(self) -> None:
        """Let players in."""
        self.players = players.start(self.config, self.services, self.engines, self.folder)


class StandIn:
    """Takes, commits and publishes in a thread, and remembers what was trained on."""

    def __init__(self, play: SelfPlay) -> None:
        self._play = play
        self.step = 0
        self.trained: dict[str, int] = {}
        """Samples by the step that trained on them."""
        self.twice: list[str] = []
        self.times: list[float] = []
        self.error: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="azr-stand-in", daemon=True)

    def start(self) -> None:
        """Begin to train, in a thread."""
        self._thread.start()

    def stop(self, seconds: float = 120.0) -> None:
        """End after the present step; raises what went wrong."""
        self._stop.set()
        self._thread.join(seconds)
        if self.error is not None:
            raise self.error

    def until(self, step: int, seconds: float) -> None:
        """Wait for a step; raises what went wrong, or when it is not reached in time."""
        deadline = time.monotonic() + seconds
        while self.step < step:
            if self.error is not None:
                raise self.error
            if time.monotonic() > deadline:
                raise TimeoutError(f"step {step} was not reached within {seconds:g} s; {self._lacks()}")
            time.sleep(0.05)

    def _run(self) -> None:
        try:
            publish = _publisher(self._play)
            while not self._stop.is_set():
                batch = self._play.services.experience.take(Version(0, self.step), 1.0)
                if batch is not None:
                    self._train(batch, publish)
        except BaseException as error:
            self.error = error

    def _train(self, batch: Batch, publish: Callable[[Version], None]) -> None:
        services = self._play.services
        for item in batch.items:
            if item.sample.id in self.trained:
                self.twice.append(item.sample.id)
            self.trained[item.sample.id] = self.step
        services.experience.commit(Version(0, self.step))
        self.step += 1
        publish(Version(0, self.step))
        services.tasks.advance(self.step)
        services.experience.publish(Version(0, self.step))
        services.experience.keep([self.step - 1, self.step])
        self.times.append(time.monotonic())

    def _lacks(self) -> str:
        return self._play.services.experience.lacking(Version(0, self.step)) or "a batch is there"


def _publisher(play: SelfPlay) -> Callable[[Version], None]:
    """Hands the model's own weights to the engines under each version."""
    from safetensors.torch import load_file

    from actors.weights.publisher import WeightPublisher

    settings = play.rollouts.settings
    publisher = WeightPublisher(
        play.rollouts.registry_name, play.config.weights, transport=settings.transport, dtype=settings.dtype
    )
    weights = load_file(Path(settings.model) / "model.safetensors")

    def publish(version: Version) -> None:
        publisher.publish(version, weights)

    return publish


@contextlib.contextmanager
def self_play(
    config: Config, folder: Path, *, seed_programs: int = 64, tell: Callable[[str], None] = lambda _: None
) -> Iterator[SelfPlay]:
    """Start everything but the players, with a Ray of its own, and leave nothing behind."""
    with ray_of(config, folder / "logs"):
        settings = EngineSettings.of(config.model.path, config.rollout, config.weights, seed=config.run.seed)
        rollouts = Rollouts.open(f"azr-{config.run.name}-{os.getpid()}", settings)
        try:
            rollouts.deploy()
            tell("services and seeds")
            services = service_actors.start(config, folder)
            services.tasks.add_many(seeds(config, seed_programs))
            rollouts.wait(tell=tell)
            play = SelfPlay(config, folder, rollouts, services)
            try:
                yield play
            finally:
                players.stop(play.players, 5.0)
                service_actors.stop(services)
        finally:
            rollouts.stop()
            with contextlib.suppress(Exception):
                serve.shutdown()
