"""Actors that were just started: waited for in pieces, asked again after a death, given up where none will come."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import ray

from actors.services import start as services_module
from actors.services.calls import Service, ServiceError
from actors.services.ready import until_ready
from tests.actors.games import small_config
from tests.actors.local import damage
from tests.actors.services.test_services_under_ray import kill

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("ray_cluster")]


class Slow:
    """Answers after so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def ready(self) -> None:
        time.sleep(self.seconds)


class Stumbles:
    """Its first life ends before it is made."""

    def __init__(self, mark: Path) -> None:
        if not mark.exists():
            mark.touch()
            os._exit(1)

    def ready(self) -> int:
        return os.getpid()


def actor(kind: type, *arguments: Any) -> Any:
    return ray.remote(kind).options(num_cpus=0, max_restarts=-1).remote(*arguments)


def test_a_signal_is_heard_while_actors_are_waited_for_and_who_is_missing_is_told() -> None:
    actors = {"quick": actor(Slow, 0.0), "slow": actor(Slow, 600.0)}
    told: list[str] = []

    def remaining() -> float:
        if told[-1] == "slow":
            raise KeyboardInterrupt
        return 100.0

    with pytest.raises(KeyboardInterrupt):
        until_ready(actors, 1.0, remaining=remaining, now=told.append)
    assert told[0] == "quick, slow"


def test_without_anybody_who_counts_the_time_it_ends_by_itself_and_names_who_is_missing() -> None:
    actors = {"quick": actor(Slow, 0.0), "slow": actor(Slow, 600.0)}
    until_ready({"quick": actors["quick"]}, 60.0)
    with pytest.raises(ServiceError, match="not ready within 2 s: slow"):
        until_ready(actors, 2.0)


def test_an_actor_that_dies_and_is_made_again_is_asked_again(tmp_path: Path) -> None:
    until_ready({"stumbles": actor(Stumbles, tmp_path / "mark")}, 60.0)


def test_a_service_whose_journal_is_damaged_is_told_at_once_to_whoever_calls_it_and_to_whoever_starts_it(
    tmp_path: Path,
) -> None:
    config = small_config(tmp_path)
    services = services_module.start(config, tmp_path)
    (shard,) = services.tasks.shards
    for step in range(3):
        services.tasks.advance(step)
    folder = tmp_path / "journal" / "tasks-0"
    journal = damage(folder)
    kill("TaskShard")
    with pytest.raises(ServiceError, match=f"tasks-0 cannot begin: {journal} is damaged at"):
        Service(shard.name, shard.actor_name, 100.0).call("ready")
    services_module.stop(services)

    config.run.name = "again"
    began = time.monotonic()
    with pytest.raises(ServiceError, match=f"tasks-0 cannot begin: {journal} is damaged at") as refused:
        services_module.start(config, tmp_path)
    assert time.monotonic() - began < 90, "it is not taken for a busy one"
    assert refused.value.mend.startswith(f"move {folder} away, such as to {folder}.damaged, and resume")

    shutil.move(folder, f"{folder}.damaged")
    config.run.name = "mended"
    services_module.stop(services_module.start(config, tmp_path))
