"""Starts the shards of both services as Ray actors, and gives out what their callers hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from actors.services.calls import Service, ServiceError
from actors.services.experience_client import ExperienceClient
from actors.services.experience_service import ExperienceShard, Rules
from actors.services.host import Place
from actors.services.ready import until_ready
from actors.services.split import check_shards
from actors.services.task_client import TaskClient
from actors.services.task_service import Shelves, TaskShard
from azr.config.root import Config
from azr.game.batch import divided
from azr.journal.journal import SyncPolicy
from azr.staleness.admission import Limits

#: Questions that a shard keeps at once: every lane of every player may have one.
CONCURRENCY = 4096


class Services(NamedTuple):
    """The services of a run. Clients travel to other processes; whoever holds the handles keeps the actors alive."""

    experience: ExperienceClient
    tasks: TaskClient
    actors: dict[str, Any]
    """Actor handles by name."""


def start(
    config: Config,
    folder: Path,
    *,
    options: Mapping[str, Any] | None = None,
    remaining: Callable[[], float] | None = None,
    now: Callable[[str], None] = lambda _what: None,
) -> Services:
    """Start all shards, journals in `folder/journal`, and wait until each has read its own.

    Shards stay on the driver's machine, whose disk holds the folder: restarted elsewhere they would begin with nothing.
    `options` go to Ray for every actor, and may say otherwise. The actors end with the driver that started them.
    `remaining` raises when nothing is to be waited for any more, else `cluster.start_seconds` are; `now` hears what is.
    """
    actors = config.actors
    check_shards(config.algorithm, actors.experience_shards)
    handles: dict[str, Any] = {}
    experience, tasks = [], []
    for shard, algorithm in enumerate(divided(config.algorithm, actors.experience_shards)):
        place = _place(config, folder, f"experience-{shard}")
        rules = Rules(
            shard=shard,
            algorithm=algorithm,
            limits=Limits.of(algorithm, config.staleness),
            silence_seconds=actors.silence_seconds,
            grace_seconds=actors.grace_seconds,
            max_tries=config.staleness.max_tries,
            sweep_window=config.staleness.sweep_window,
        )
        experience.append(_started(config, ExperienceShard, place, options, handles, rules))
    capacity = -(-config.buffers.capacity // actors.task_shards)
    buffers = dataclasses.replace(config.buffers, capacity=capacity)
    for shard in range(actors.task_shards):
        place = _place(config, folder, f"tasks-{shard}")
        tasks.append(_started(config, TaskShard, place, options, handles, shelves_of(config, shard), buffers))
    try:
        until_ready(
            {service.name: handles[service.actor_name] for service in (*experience, *tasks)},
            config.cluster.start_seconds,
            remaining=remaining,
            now=lambda missing: now(f"{missing} to read the journal"),
        )
    except ServiceError:
        for handle in handles.values():  # else they hold their folders for as long as this error is looked at
            ray.kill(handle)
        raise
    return Services(ExperienceClient(experience), TaskClient(tasks), handles)


def shelves_of(config: Config, shard: int) -> Shelves:
    """What a shard of the task service holds by this configuration.

    Replay keeps to its share also where nobody proposes. Seeds are new tasks there until each was drawn once; with
    nothing but replay, the few that were rated first would be drawn for ever.
    """
    return Shelves(
        shard=shard,
        task_types=tuple(config.algorithm.game.task_types),
        seed=config.run.seed,
        replay_share=config.algorithm.batch.replay_share,
    )


def stop(services: Services, deadline_seconds: float = 10.0) -> None:
    """End all shards, their journals safe."""
    closing = [handle.close.remote() for handle in services.actors.values()]
    ray.wait(closing, num_returns=len(closing), timeout=deadline_seconds)
    for handle in services.actors.values():
        ray.kill(handle)


def _place(config: Config, folder: Path, name: str) -> Place:
    actors = config.actors
    return Place(
        name=name,
        folder=str(folder / "journal" / name),
        logs=str(folder / "logs"),
        sync=msgspec.convert(actors.journal_sync, SyncPolicy),
        sync_seconds=actors.sync_seconds,
        shorten_bytes=actors.shorten_mb << 20,
    )


def _started(
    config: Config,
    shard: type,
    place: Place,
    options: Mapping[str, Any] | None,
    handles: dict[str, Any],
    *arguments: Any,
) -> Service:
    name = f"azr-{config.run.name}-{place.name}"
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    asked = {"num_cpus": 0, "scheduling_strategy": here, **(options or {})}
    actor = (
        ray.remote(shard)
        .options(name=name, max_restarts=-1, max_task_retries=0, max_concurrency=CONCURRENCY, **asked)
        .remote(place, *arguments)
    )
    handles[name] = actor
    return Service(place.name, name, config.actors.call_seconds)
