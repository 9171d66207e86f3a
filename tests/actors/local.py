"""Services in the tests' own process: the real shards, asked without Ray in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from actors.services.experience_service import ExperienceShard, Rules
from actors.services.for_players import PlayerExperience, PlayerTasks
from actors.services.host import Place
from actors.services.start import shelves_of
from actors.services.task_service import TaskShard
from azr.config.root import Config
from azr.game.batch import divided
from azr.staleness.admission import Limits


class LocalService:
    """A `Service` whose shard lives here. `before` is called with each method's name, and may fail in its place."""

    def __init__(self, shard: Any) -> None:
        self.shard = shard
        self.name = shard.host.place.name
        self.asked: list[str] = []
        self.before: Callable[[str], None] = lambda _method: None

    async def ask(self, method: str, *arguments: Any, wait_seconds: float = 0.0, mark_again: bool = False) -> Any:
        self.asked.append(method)
        self.before(method)
        return await getattr(self.shard, method)(*arguments, *((False,) if mark_again else ()))


class Desk:
    """Both services of a small game, opened in a folder."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.experience = [
            LocalService(ExperienceShard(place(folder, f"experience-{shard}"), rules_of(config, shard)))
            for shard in range(config.actors.experience_shards)
        ]
        self.tasks = [
            LocalService(TaskShard(place(folder, f"tasks-{shard}"), shelves_of(config, shard), config.buffers))
            for shard in range(config.actors.task_shards)
        ]

    def player(self, name: str) -> PlayerExperience:
        return PlayerExperience(self.experience, name)  # type: ignore[arg-type]

    def shelves(self) -> PlayerTasks:
        return PlayerTasks(self.tasks)  # type: ignore[arg-type]

    async def close(self) -> None:
        await asyncio.gather(*(service.shard.close() for service in (*self.experience, *self.tasks)))


def place(folder: Path, name: str) -> Place:
    return Place(name=name, folder=str(folder / "journal" / name), logs=str(folder / "logs"))


def rules_of(config: Config, shard: int = 0) -> Rules:
    algorithm = divided(config.algorithm, config.actors.experience_shards)[shard]
    return Rules(
        shard=shard,
        algorithm=algorithm,
        limits=Limits.of(algorithm, config.staleness),
        silence_seconds=config.actors.silence_seconds,
        grace_seconds=config.actors.grace_seconds,
        max_tries=config.staleness.max_tries,
        sweep_window=config.staleness.sweep_window,
    )


def damage(folder: Path) -> Path:
    """The newest journal in a folder, of which a record in the middle cannot be read any more."""
    journal = max(folder.glob("*.journal"))
    with journal.open("r+b") as file:
        file.seek(60)
        file.write(b"\xff" * 40)
    return journal
