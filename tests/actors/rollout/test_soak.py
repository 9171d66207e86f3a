"""The long forms: fifty updates under full load by each transport, and sixty deaths at random."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time

import numpy as np
import pytest
from torch import Tensor

from actors.engine.records import Generation
from azr.game.types import Version
from tests.actors.rollout.conftest import Cluster
from tests.actors.tiny import changed_weights, logprobs_under
from tests.actors.waiting import until

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

UPDATES, IN_FLIGHT, DEATHS = 50, 64, 60
#: Responses whose every token is compared with transformers; each takes some 20 ms a span.
COMPARED = 300
#: DESIGN's bounds on recovery, in seconds.
WITH_STANDBY, WITHOUT = 20.0, 45.0


@pytest.mark.parametrize("transport", ["shm", "gloo"])
async def test_fifty_updates_with_sixty_four_requests_in_flight(cluster: Cluster, transport: str) -> None:
    cluster.settle()
    publisher = cluster.publisher(transport)
    weights: dict[Version, dict[str, Tensor]] = {}
    async with cluster.load(lanes=IN_FLIGHT, tokens=150) as load:
        for step in range(UPDATES):
            version = cluster.next_version()
            weights[version] = changed_weights(cluster.model, step)
            report = await asyncio.to_thread(publisher.publish, version, weights[version])
            assert report.complete, report.missing
            answered = len(load.answers)
            await until(lambda answered=answered: len(load.answers) > answered, "sampling goes on")  # type: ignore[misc]
    publisher.close()
    assert len(load.answers) == load.asked

    def prompt_of(generation: Generation) -> list[int]:
        lane = int(generation.request.split("-")[1])
        return list(range(lane % 50, lane % 50 + 20))

    worst, mixed = 0.0, 0
    for _, generation in load.answers[:: max(1, len(load.answers) // COMPARED)]:
        [response] = generation.responses
        mixed += len(response.spans) > 1
        for span in response.spans:
            if span.version in weights:
                tokens = response.token_ids.tolist()
                expected = logprobs_under(cluster.model, weights[span.version], prompt_of(generation), tokens).numpy()
                found = response.logprobs[span.start : span.end]
                worst = max(worst, float(np.abs(found - expected[span.start : span.end]).max()))
    print(
        f"{transport}: {len(load.answers)} responses, {mixed} of those compared mixed, largest difference {worst:.1e}"
    )
    assert mixed > 10
    assert worst <= 1e-5


async def test_sixty_deaths_at_random(cluster: Cluster) -> None:
    import ray

    chance = random.Random(20)
    kinds = ["engine"] * 25 + ["replica"] * 25 + ["registry"] * 10
    chance.shuffle(kinds)
    seconds: dict[str, list[float]] = {kind: [] for kind in set(kinds)}
    for kind in kinds[:DEATHS]:
        await asyncio.to_thread(cluster.settle)
        async with cluster.load(lanes=32) as load:
            await until(lambda load=load: len(load.answers) >= 16, "answers")  # type: ignore[misc]
            await asyncio.sleep(chance.random())
            victim = chance.choice(cluster.serving())
            if kind == "registry":
                ray.kill(cluster.rollouts.registry, no_restart=False)
            else:
                os.kill(victim.pid if kind == "replica" else victim.engine_pids[0], signal.SIGKILL)
            killed = time.monotonic()
            await asyncio.sleep(0.5)

            def whole() -> bool:
                try:
                    return len(cluster.serving()) == 2
                except ray.exceptions.RayError:
                    return False

            await until(whole, f"two serve after the death of the {kind}", WITHOUT + 60)
            seconds[kind].append(time.monotonic() - killed)
        assert len(load.answers) == load.asked, kind
    for kind, taken in seconds.items():
        print(f"{kind}: {len(taken)} deaths, recovery median {np.median(taken):.1f} s, longest {max(taken):.1f} s")
        assert float(np.median(taken)) <= WITH_STANDBY
        assert max(taken) <= WITHOUT
