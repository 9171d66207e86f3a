"""How weights get into a replica's engine, without Ray or vLLM: an engine and a registry that say what is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.engine.errors import EngineError, StagingError
from actors.engine.records import UpdateTimes
from actors.rollout.intake import WeightIntake
from actors.weights.records import Order, Stored
from azr.game.types import Version

NEW = Version(0, 2)


class Engine:
    """Notes by which ways it was given weights; some of them fail."""

    def __init__(self, *failing: str) -> None:
        self.ways: list[str] = []
        self._failing = failing

    async def update(self, version: Version, way: str, info: dict[str, Any], *, checksum: str) -> UpdateTimes:
        assert (way == "gloo" or info["path"].endswith("0.2.safetensors")) and checksum == "sum"
        self.ways.append(way)
        if way in self._failing:
            raise StagingError(f"{way}: the checksum differs")
        return UpdateTimes(version=version, stage=0.0, pause=0.0, apply=0.0, resume=0.0)

    async def native_init(self, info: dict[str, Any]) -> None:
        self.ways.append(f"init {info['rank']}")

    async def native_update(self, version: Version, _info: dict[str, Any]) -> UpdateTimes:
        self.ways.append("native")
        return UpdateTimes(version=version, stage=0.0, pause=0.0, apply=0.0, resume=0.0)


class Registry:
    """Has one version, whose file lies here."""

    def __init__(self, stored: Stored | None) -> None:
        self._stored = stored

    async def ask(self, method: str, *_arguments: Any) -> Any:
        assert method == "newest"
        return self._stored


@pytest.fixture
def intake(tmp_path: Path) -> WeightIntake:
    """Of the replica `a`, on the registry's machine."""
    path = tmp_path / "0.2.safetensors"
    path.touch()
    return WeightIntake("a", Registry(Stored(version=NEW, path=str(path), checksum="sum", size=0)))  # type: ignore[arg-type]


def order(action: Any, **details: dict[str, Any]) -> Order:
    """What the registry orders; `details` are of single replicas."""
    return Order(number=1, action=action, version=NEW, checksum="sum", details=details)


async def by(intake: WeightIntake, engine: Engine, told: Order) -> tuple[bool, str, str]:
    """Whether weights came, by which way, and what went wrong before."""
    times, way, error = await intake.by_transport(engine, told)  # type: ignore[arg-type]
    return times is not None, way, error


async def test_the_order_names_the_way(intake: WeightIntake) -> None:
    engine = Engine()
    assert await by(intake, engine, order("file")) == (True, "file", "")
    assert await by(intake, engine, order("gloo")) == (True, "gloo", "")
    assert await by(intake, engine, order("native_init", a={"rank": 3})) == (False, "native_init", "")
    assert await by(intake, engine, order("native_update", a={})) == (True, "native_update", "")
    assert engine.ways == ["file", "gloo", "init 3", "native"]


async def test_a_transport_that_fails_with_nothing_lost_is_told_of_beside_the_file_that_is_taken_instead(
    intake: WeightIntake,
) -> None:
    """Or it would fail at every version, and nobody would hear of it."""
    engine = Engine("gloo")
    assert await by(intake, engine, order("gloo")) == (True, "file", "gloo: the checksum differs")
    assert engine.ways == ["gloo", "file"]


async def test_a_replica_that_has_no_part_in_the_transport_takes_the_file(intake: WeightIntake) -> None:
    engine = Engine()
    assert await by(intake, engine, order("native_update", b={})) == (True, "file", "")
    assert await by(intake, engine, order("native_init", b={"rank": 3})) == (False, "native_init", "")
    assert engine.ways == ["file"]


async def test_a_registry_without_the_version_or_a_newer_one_is_an_error() -> None:
    old = Stored(version=Version(0, 1), path="/nowhere", checksum="sum", size=0)
    for stored in (None, old):
        with pytest.raises(StagingError, match=r"does not have .* nor anything newer"):
            await WeightIntake("a", Registry(stored)).stored(NEW)  # type: ignore[arg-type]


async def test_a_way_that_nobody_knows_is_an_error(intake: WeightIntake) -> None:
    with pytest.raises(EngineError, match="no way 'pigeon' for weights"):
        await intake.by_transport(Engine(), order("pigeon"))  # type: ignore[arg-type]
