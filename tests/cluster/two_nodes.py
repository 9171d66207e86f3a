"""A program of its own: engines, weights and tasks on two nodes; prints what happened as JSON.

    python -m tests.cluster.two_nodes GCS_ADDRESS MODEL FOLDER

Apart from the tests' process because Ray puts its own handlers on the signals that WebAssembly traps arrive by.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

import ray
import torch

from actors.engine.records import GenerateRequest, Generation
from actors.engine.settings import EngineSettings
from actors.host import host_id
from actors.rollout.client import RolloutClient
from actors.rollout.deployment import Rollouts, pool_for
from actors.services import start as services
from actors.weights.publisher import WeightPublisher
from actors.weights.registry import find_registry
from azr.config import Config
from azr.config.sections.rollout import RolloutConfig
from azr.config.sections.weights import WeightsConfig
from azr.game.types import Task, Version
from tests.actors.tiny import changed_weights, logprobs_under, save_engine_model

PROMPT = [104, 101, 108, 108, 111]


def main(gcs: str, model: Path, folder: Path) -> dict[str, Any]:
    """Start engines on both nodes, publish twice, sample, and carry tasks from one node to the other."""
    save_engine_model(model)
    environment = {"PYTHONPATH": os.environ["PYTHONPATH"], "OMP_NUM_THREADS": "1"}
    ray.init(address=gcs, log_to_driver=False, namespace="two", runtime_env={"env_vars": environment})
    _until_two_nodes()
    rollout = RolloutConfig(replicas=2, replicas_per_node=1, kv_cache_mb=32, max_model_len=256, max_sequences=8)
    weights = WeightsConfig(transport="shm")
    settings = EngineSettings.of(model, rollout, weights, seed=0)
    rollouts = Rollouts.start("two", settings, tell=lambda text: print(text, file=sys.stderr))
    try:
        found: dict[str, Any] = {"addresses": sorted(member.address for member in rollouts.members())}
        publisher = WeightPublisher(rollouts.registry_name, weights, transport=settings.transport, dtype=settings.dtype)
        reports = [publisher.publish(Version(0, step), changed_weights(model, step)) for step in (1, 2)]
        found |= {"complete": [report.complete for report in reports], "missing": [r.missing for r in reports]}
        generations = asyncio.run(_sample(rollouts, settings))
        found["replicas"] = len({generation.replica for generation in generations})
        found["versions"] = sorted({span.version.step for g in generations for span in g.responses[0].spans})
        found["gap"] = max(_gap(model, generation) for generation in generations)
        found |= _carry_tasks(folder)
        found["registry_stays"] = _restarted_registry(rollouts.registry_name) == host_id()
        publisher.close()
        return found
    finally:
        rollouts.stop()
        ray.shutdown()


def _restarted_registry(name: str) -> str:
    """The machine that a registry is on after it was killed."""
    ray.kill(find_registry(name), no_restart=False)
    ends = time.monotonic() + 60.0
    while True:
        with contextlib.suppress(ray.exceptions.RayActorError):
            return str(ray.get(find_registry(name).begin_publishing.remote(), timeout=60.0)[0])
        if time.monotonic() > ends:
            raise TimeoutError("the registry did not come back within 60 s")
        time.sleep(0.2)


def _until_two_nodes() -> None:
    deadline = time.monotonic() + 120
    while sum(node["Alive"] for node in ray.nodes()) < 2:
        if time.monotonic() > deadline:
            raise TimeoutError("the second node did not join within 120 s")
        time.sleep(0.5)


async def _sample(rollouts: Rollouts, settings: EngineSettings) -> list[Generation]:
    client = RolloutClient(find_registry(rollouts.registry_name), pool=pool_for(settings, "solve"), attempts=2)
    try:
        requests = [
            GenerateRequest(id=f"r{seed}", prompt_ids=tuple(PROMPT), seed=seed, max_tokens=16) for seed in range(12)
        ]
        return list(await asyncio.gather(*(client.generate(request, 120.0) for request in requests)))
    finally:
        await client.close()


def _gap(model: Path, generation: Generation) -> float:
    """Largest difference between what was recorded and what the newest weights say of the same tokens."""
    [response] = generation.responses
    tokens = [int(token) for token in response.token_ids]
    expected = logprobs_under(model, changed_weights(model, 2), PROMPT, tokens)
    return float((torch.tensor(response.logprobs) - expected).abs().max())


def _carry_tasks(folder: Path) -> dict[str, Any]:
    """Tasks put in by the second node are in the service's buffers when this one looks."""
    hosted = services.start(Config(), folder)
    tasks = [_task(number) for number in range(50)]

    @ray.remote(resources={"second": 0.1}, num_cpus=0)  # type: ignore[untyped-decorator]
    def add(client: Any, added: list[Task]) -> tuple[str, int]:
        return socket.gethostname(), sum(client.add_many(added))

    try:
        host, count = ray.get(add.remote(hosted.tasks, tasks), timeout=120)
        return {"host": host, "added": count, "held": hosted.tasks.count()}
    finally:
        services.stop(hosted)


def _task(number: int) -> Task:
    return Task(
        id=f"t{number}",
        task_type="deduction",
        program=f"def f(x):\n    return x + {number}",
        inputs=("1",),
        outputs=(str(number + 1),),
        output_keys=(str(number + 1),),
        normal_form=f"form{number}",
        fingerprint=f"print{number}",
    )


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))), flush=True)
