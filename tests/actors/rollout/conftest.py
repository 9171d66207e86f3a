"""One Ray with real replicas for all tests of this folder: two that serve, and a standby."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from actors.engine.records import GenerateRequest, Generation
from actors.engine.settings import EngineSettings
from actors.rollout.client import RolloutClient
from actors.rollout.deployment import Rollouts
from actors.weights.folders import remove_versions, versions_folder
from actors.weights.publisher import WeightPublisher
from actors.weights.records import Member
from azr.config.sections.rollout import RolloutConfig
from azr.config.sections.weights import WeightsConfig
from azr.game.types import Version
from benchmarks.replicas import small_ray
from tests.actors.tiny import save_engine_model
from tests.actors.waiting import until_now


@dataclass
class Cluster:
    """The replicas, and what tests do with them."""

    rollouts: Rollouts
    model: Path
    steps: Iterator[int] = field(default_factory=lambda: iter(range(1, 100_000)))

    def serving(self) -> list[Member]:
        """Replicas that serve, by name."""
        return sorted((each for each in self.rollouts.members() if each.state == "serving"), key=lambda each: each.name)

    def settle(self, count: int = 2, standbys: int = 1) -> float:
        """Wait until so many serve and stand by; how long it took."""
        import ray

        def settled() -> bool:
            try:
                states = [member.state for member in self.rollouts.members()]
            except ray.exceptions.RayError:  # the registry is being restarted
                return False
            return states.count("serving") == count and states.count("standby") == standbys

        return until_now(settled, f"{count} replicas serve and {standbys} stand by", 240)

    def next_version(self) -> Version:
        """A version newer than all before."""
        return Version(1, next(self.steps))

    def publisher(self, transport: str = "shm", **weights: object) -> WeightPublisher:
        """The learner's side."""
        config = WeightsConfig(transport=transport, publish_seconds=60, **weights)  # type: ignore[arg-type]
        return WeightPublisher(self.rollouts.registry_name, config, transport=transport, dtype="float32")

    @contextlib.asynccontextmanager
    async def load(self, lanes: int = 64, tokens: int = 60) -> AsyncIterator[Load]:
        """Requests that are always in flight while the block runs; afterwards every one must have been answered."""
        client = RolloutClient(self.rollouts.registry, attempts=8)
        load = Load(client)
        tasks = [asyncio.create_task(load.lane(lane, tokens)) for lane in range(lanes)]
        try:
            yield load
        finally:
            load.ending = True
            async with asyncio.timeout(180):
                await asyncio.gather(*tasks)
            await client.close()


@dataclass
class Load:
    """Requests in flight, and what came of them."""

    client: RolloutClient
    answers: list[tuple[float, Generation]] = field(default_factory=list)
    asked: int = 0
    ending: bool = False

    async def lane(self, number: int, tokens: int) -> None:
        """One request after the other."""
        count = 0
        while not self.ending:
            count += 1
            self.asked += 1
            request = GenerateRequest(
                id=f"lane-{number}-{count}",
                prompt_ids=tuple(range(number % 50, number % 50 + 20)),
                seed=1000 * number + count,
                max_tokens=tokens,
                ignore_end=True,
            )
            generation = await self.client.generate(request, 170)
            assert generation.responses[0].token_ids.size == tokens
            self.answers.append((time.monotonic(), generation))

    def since(self, moment: float) -> list[Generation]:
        """Answers after a moment."""
        return [generation for at, generation in self.answers if at > moment]


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    name = f"test-{os.getpid()}"
    try:
        with small_ray() as folder:
            model = save_engine_model(folder / "model")
            settings = EngineSettings.of(
                model, RolloutConfig(replicas=2, standby=1, start_seconds=280, drain_seconds=20), WeightsConfig()
            )
            rollouts = Rollouts.start(name, settings)
            cluster = Cluster(rollouts, model)
            cluster.settle()
            yield cluster
            rollouts.stop()
    finally:
        remove_versions(versions_folder("", name))  # where they did not come to stand, nobody else does
