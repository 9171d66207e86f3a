"""A replica whose run is gone says so; one whose registry is only being restarted waits."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
import torch

from actors.rollout import asking_registry, deployment
from actors.rollout.asking_registry import AskedRegistry
from actors.rollout.deployment import _end_application, _require_run
from actors.weights.transports.files import file_name, write_file
from azr.game.types import Version
from tests.actors.waiting import until


class Registry:
    """A registry's handle: dead for the first calls, then alive."""

    def __init__(self, dead_calls: int) -> None:
        self.dead_calls = dead_calls

    def __getattr__(self, method: str) -> Any:
        return self

    async def remote(self, *arguments: Any) -> str:
        if self.dead_calls > 0:
            self.dead_calls -= 1
            raise ray.exceptions.ActorUnavailableError("away", None)
        return "answered"


class Names:
    """What the cluster says to the registry's name: known, or not for so many questions."""

    def __init__(self, registry: Registry, unknown: float) -> None:
        self.registry, self.unknown, self.asked = registry, unknown, 0

    def __call__(self, name: str) -> Registry:
        self.asked += 1
        if 1 < self.asked <= 1 + self.unknown:
            raise ValueError(f"no actor is called {name}")
        return self.registry


def made(names: Names, patch: pytest.MonkeyPatch) -> tuple[AskedRegistry, asyncio.Event]:
    patch.setattr(asking_registry, "find_registry", names)
    patch.setattr(asking_registry, "_AGAIN_SECONDS", 0.01)
    patch.setattr(asking_registry, "ORPHAN_SECONDS", 0.2)
    told = asyncio.Event()
    return AskedRegistry("registry", name="r", orphaned=told.set), told


async def test_a_registry_that_nobody_knows_by_name_is_gone_and_with_it_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry, told = made(Names(Registry(10_000), float("inf")), monkeypatch)
    asking = asyncio.create_task(registry.ask("orders"))
    async with asyncio.timeout(10):
        await told.wait()
    asking.cancel()


async def test_whose_run_is_gone_removes_its_weights_and_has_serve_end_the_application(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    deleted: list[str] = []
    context = SimpleNamespace(app_name="azr-tiny-shared")
    monkeypatch.setattr("ray.serve.get_replica_context", lambda: context)
    monkeypatch.setattr("ray.serve.delete", lambda name, **_options: deleted.append(name))
    folder = tmp_path / "azr-tiny"
    folder.mkdir()
    write_file(folder / file_name(Version(0, 57)), {"w": torch.ones(1)})
    _end_application(folder)
    await until(lambda: deleted == ["azr-tiny-shared"], "the application to be ended")
    assert not folder.exists()


async def test_one_that_serve_starts_after_the_run_died_ends_the_application_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ended: list[Path] = []
    monkeypatch.setattr(deployment, "ORPHAN_SECONDS", 0.05)
    monkeypatch.setattr(deployment, "_SERVE_SECONDS", 0.01)
    monkeypatch.setattr(deployment, "_end_application", ended.append)
    monkeypatch.setattr(deployment, "find_registry", Names(Registry(0), float("inf")))
    await _require_run("registry", tmp_path)
    assert ended == []
    with pytest.raises(ValueError, match="no actor is called registry"):
        await _require_run("registry", tmp_path)
    assert ended == [tmp_path]


async def test_one_that_is_being_restarted_keeps_its_name_and_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    registry, told = made(Names(Registry(60), 0), monkeypatch)
    async with asyncio.timeout(10):
        assert await registry.ask("orders") == "answered"
    assert not told.is_set()


async def test_a_name_that_comes_back_in_time_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    registry, told = made(Names(Registry(60), 5), monkeypatch)
    async with asyncio.timeout(10):
        assert await registry.ask("orders") == "answered"
    assert not told.is_set()
