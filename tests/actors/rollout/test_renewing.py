"""An engine is replaced inside its replica: real replica, registry, server and client, the engine's place taken by one
that does as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from actors.engine.engine import Engine
from actors.engine.errors import EngineDiedError, EngineError, EngineStuckError, StagingError, TornWeightsError
from actors.engine.records import EngineStatistics, GenerateRequest, Generation, UpdateTimes
from actors.engine.settings import EngineSettings
from actors.rollout import asking_registry
from actors.rollout import replica as module
from actors.rollout.client import RolloutClient
from actors.rollout.replica import Replica
from actors.weights import registry as registry_module
from actors.weights.records import Member, Order, Report, Stored
from actors.weights.registry import Registry
from actors.weights.transports.files import file_name, write_file
from azr.config.sections.rollout import RolloutConfig
from azr.config.sections.weights import WeightsConfig
from azr.game.types import Version
from tests.actors.waiting import until


class FakeEngine:
    """Answers and takes weights at once, unless it is told otherwise."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = "a"
        self.version = Version(0, 0)
        self.torn = self.stuck = self.died = ""
        self.pids, self.rings = [1 << 30 | number], [f"ring-{number}"]
        self.on_death: Callable[[str], None] = lambda _why: None
        self.fails: list[EngineError] = []
        """What its next updates end of."""
        self.hangs = False
        self.closing = 0.0
        """How long it takes to close."""
        self.taken: list[tuple[Version, str]] = []
        self.ended: list[str] = []
        self.unburied = ""
        """Why what it left cannot be freed."""
        self.taking: asyncio.Event | None = None
        """What its next update that does not fail waits for."""
        self.gaps: list[float] = []
        """Between its tokens, of updates before."""

    async def generate(self, request: GenerateRequest) -> Generation:
        if self.hangs:
            await until(lambda: bool(self.died), "it is closed", 30)
        if self.died:
            raise EngineDiedError(self.died)
        return Generation(request=request.id, responses=(), replica=str(self.number))

    async def update(self, version: Version, kind: str, info: dict[str, Any], *, checksum: str) -> UpdateTimes:
        if self.fails:
            error = self.fails.pop(0)
            self.torn = str(error) if isinstance(error, TornWeightsError) else ""
            self.stuck = str(error) if isinstance(error, EngineStuckError) else ""
            raise error
        if self.taking is not None:
            await self.taking.wait()
        self.taken.append((version, checksum))
        self.version, self.torn = version, ""
        return UpdateTimes(version=version, stage=0, pause=0, apply=0, resume=0, loaded=f"loaded-{checksum}")

    async def check(self) -> None:
        if self.stuck:
            raise EngineStuckError(self.stuck)

    def statistics(self) -> EngineStatistics:
        return EngineStatistics()

    def seams(self) -> list[float]:
        gaps, self.gaps = self.gaps, []
        return gaps

    async def close(self) -> None:
        self.died = "a was closed"
        await asyncio.sleep(self.closing)
        self.ended.append("closed")

    async def end(self) -> None:
        await self.close()

    def bury(self) -> None:
        self.ended.append("buried")
        if self.unburied:
            raise OSError(self.unburied)


class Handle:
    """The registry as Ray hands it out."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __getattr__(self, method: str) -> Any:
        return type("Method", (), {"remote": staticmethod(getattr(self._registry, method))})


class Place:
    """A registry, a replica of one pool, who asks it, and its engines, oldest first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registry = Registry(str(folder), 3, {"shared": 1}, put=lambda content: content)
        self.handle = Handle(self.registry)
        self.client = RolloutClient(self.handle, attempts=3)
        self.engines: list[FakeEngine] = []
        self.left: list[int] = []
        self.replica: Replica

    async def make_engine(self, *_settings: Any, **_named: Any) -> FakeEngine:
        self.engines.append(FakeEngine(len(self.engines)))
        return self.engines[-1]

    async def ask(self, name: str, seconds: float = 10.0) -> str:
        """Which engine answers."""
        return (await self.client.generate(GenerateRequest(id=name, prompt_ids=(1,)), seconds)).replica

    async def store(self, step: int) -> Version:
        """A version that the registry has and no replica was told of."""
        version = Version(0, step)
        path = self.folder / file_name(version)
        size = write_file(path, {"w": torch.full((3,), float(step))})
        await self.registry.adopt(Stored(version=version, path=str(path), checksum=f"sum-{step}", size=size))
        return version

    async def give(self, order: Order) -> Report:
        """What becomes of an order at the replica."""
        number = await self.registry.give(order)
        _, reports, owing = await self.registry.outcome(number, ["a"], 10)
        assert owing == []
        return reports[0]

    async def publish(self, step: int) -> Report:
        """Hand a version on."""
        return await self.give(Order(number=0, action="file", version=await self.store(step), checksum=f"sum-{step}"))


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    place = Place(tmp_path / "versions")
    monkeypatch.setattr(asking_registry, "find_registry", lambda _name: place.handle)
    monkeypatch.setattr(module, "warm_up", lambda: None)
    monkeypatch.setattr(module, "own_address", lambda: "127.0.0.1")
    monkeypatch.setattr(Engine, "start", place.make_engine)
    settings = EngineSettings.of("model", RolloutConfig(drain_seconds=0.1), WeightsConfig(), gpu=False)
    place.replica = await Replica.start(settings, "registry", name="a")
    place.replica.leave = place.left.append
    yield place
    await place.client.close()
    await place.replica.stop()


async def _second_engine(place: Place) -> FakeEngine:
    """Wait for it to serve."""
    await until(
        lambda: len(place.engines) == 2 and place.replica._engine is place.engines[1], "a new engine serves", 10
    )
    return place.engines[1]


async def _ended(engine: FakeEngine) -> None:
    """Wait until it is: closed once, however often it was asked, and what it left freed."""
    await until(lambda: engine.ended == ["closed", "buried"], "it is closed and buried", 5)


class TestAnEngineThatHangs:
    async def test_as_it_is_handed_weights_is_replaced_by_one_that_has_the_newest(self, place: Place) -> None:
        first = place.engines[0]
        first.fails = [EngineStuckError("a: stage took longer than 60 s, and it does not answer")]
        report = await place.publish(1)
        second = await _second_engine(place)
        assert report.error.startswith("a: stage took longer") or report.version == Version(0, 1)
        await _ended(first)
        assert second.taken == [(Version(0, 1), "sum-1")]
        assert await place.ask("r") == "1"
        assert place.replica.status().checksum == "loaded-sum-1"

    async def test_with_requests_in_it_is_replaced_and_they_are_answered_by_the_next(self, place: Place) -> None:
        first = place.engines[0]
        first.hangs, first.closing = True, 0.1
        asked = asyncio.create_task(place.ask("r"))
        server = place.replica._server
        assert server is not None
        await until(lambda: server.unanswered == 1, "it is taken", 5)
        await place.replica.check()
        assert len(place.engines) == 1, "so far it may be busy"
        first.stuck = "a: it has requests and said nothing for more than 300 s"
        await asyncio.gather(*(place.replica.check() for _ in range(3)))
        await _second_engine(place)
        assert await asked == "1"
        await _ended(first)
        await place.replica.check()
        assert place.left == []

    async def test_as_a_new_one_is_given_its_first_weights_is_not_asked_again(self, place: Place) -> None:
        await place.publish(1)
        third = FakeEngine(7)
        third.fails = [EngineStuckError("it does not answer")]
        with pytest.raises(EngineStuckError):
            await place.replica._newest_into(third)  # type: ignore[arg-type]
        assert third.taken == []


class TestAnEngineThatHasTheVersion:
    async def test_tells_what_it_holds_when_it_is_ordered_to_take_the_file_as_well(self, place: Place) -> None:
        """By a broadcast that broke for others; unheard, it was compared with nobody."""
        await place.publish(1)
        again = await place.give(Order(number=0, action="file", version=Version(0, 1), checksum="sum-1"))
        assert (again.transport, again.times, again.holds) == ("none", None, "loaded-sum-1")
        assert len(place.engines[0].taken) == 1

    async def test_tells_nothing_of_a_newer_one(self, place: Place) -> None:
        await place.publish(2)
        late = await place.give(Order(number=0, action="file", version=Version(0, 1), checksum="sum-1"))
        assert (late.version, late.holds) == (Version(0, 2), "")


async def test_the_gap_that_an_update_left_is_reported_with_the_next_and_its_status_tells_it_on(place: Place) -> None:
    """Its first token by new weights comes after the update was confirmed."""
    (engine,) = place.engines
    assert (await place.publish(1)).gaps == ()
    engine.gaps.append(0.02)
    assert place.replica.status().gaps == (0.02,), "who asks for the status in between takes it from nobody"
    engine.gaps.append(0.03)
    assert (await place.publish(2)).gaps == (0.02, 0.03)
    assert (await place.publish(3)).gaps == ()
    assert place.replica.status().gaps == (0.02, 0.03)


class TestAnEngineThatTakesNoWeights:
    async def test_is_replaced_after_three_orders_in_a_row(self, place: Place) -> None:
        first = place.engines[0]
        first.fails = [StagingError("a: weights did not arrive whole: no space")] * 3
        for step in (1, 2):
            assert (await place.publish(step)).version == Version(0, 0)
        assert await place.ask("r") == "0", "the old weights serve on"
        await place.publish(3)
        second = await _second_engine(place)
        assert second.taken == [(Version(0, 3), "sum-3")]
        assert await place.ask("s") == "1"

    async def test_for_want_of_room_on_its_own_machine_serves_the_old_ones_on(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A registry on another machine hands it the bytes, which must lie in a file here."""

        class DoesNotFit:
            nbytes = 12

            def tofile(self, _path: Path) -> None:
                raise OSError("12 requested and 0 written")

        ask = place.replica._registry.ask

        async def of_another_machine(method: str, *arguments: Any) -> Any:
            if method == "pull":
                return [asyncio.sleep(0, DoesNotFit())]
            answer = await ask(method, *arguments)
            return msgspec.structs.replace(answer, path="/not/seen/here") if method == "newest" else answer

        monkeypatch.setattr(place.replica._registry, "ask", of_another_machine)
        report = await place.publish(1)
        assert (report.version, report.error.endswith("does not take 12 bytes: 12 requested and 0 written")) == (
            Version(0, 0),
            True,
        )
        assert await place.ask("r") == "0"
        await place.replica.check()

    async def test_is_kept_when_it_takes_some_between(self, place: Place) -> None:
        error = StagingError("a: weights did not arrive whole: no space")
        for step, fails in enumerate([True, True, False, True, True], 1):
            place.engines[0].fails = [error] if fails else []
            assert bool((await place.publish(step)).error) == fails
        await asyncio.sleep(0.05)
        assert len(place.engines) == 1


class TestTornWeights:
    async def test_are_made_whole_by_the_versions_file(self, place: Place) -> None:
        first = place.engines[0]
        first.fails = [TornWeightsError("a: half of the layers")]
        report = await place.publish(1)
        assert (report.version, report.error) == (Version(0, 1), "a: half of the layers")
        assert first.taken == [(Version(0, 1), "sum-1")]
        assert len(place.engines) == 1

    async def test_keep_no_request_waiting_meanwhile(self, place: Place) -> None:
        """The engine stands still for as long as the file takes, and another replica may be idle."""
        first = place.engines[0]
        assert await place.ask("before") == "0"
        first.fails, first.taking = [TornWeightsError("a: half of the layers")], asyncio.Event()
        publishing = asyncio.create_task(place.publish(1))
        await until(lambda: place.replica._healing, "it is being made whole", 5)
        asked = asyncio.create_task(place.ask("meanwhile"))
        await until(lambda: place.client._connections["a"].resting > 0, "it is sent elsewhere", 5)
        first.taking.set()
        await publishing
        assert await asked == "0", "there is no other here"

    async def test_that_are_whole_again_do_not_open_a_replica_that_is_taken_away(self, place: Place) -> None:
        first = place.engines[0]
        first.fails, first.taking = [TornWeightsError("a: half of the layers")], asyncio.Event()
        publishing = asyncio.create_task(place.publish(1))
        await until(lambda: place.replica._healing, "it is being made whole", 5)
        assert place.replica._server is not None
        place.replica._server.refusing = "it is being taken away"
        first.taking.set()
        await publishing
        assert place.replica._server.refusing == "it is being taken away"

    async def test_twice_cost_the_engine(self, place: Place) -> None:
        first = place.engines[0]
        first.fails = [TornWeightsError("a: half of the layers")] * 2
        await place.publish(1)
        second = await _second_engine(place)
        await _ended(first)
        assert second.version == Version(0, 1)


class TestWhileAnEngineIsReplaced:
    async def test_what_is_asked_waits_for_the_next_and_nothing_is_called_poisoned(self, place: Place) -> None:
        first = place.engines[0]
        first.closing = 1.0
        assert await place.ask("before") == "0"
        renewing = asyncio.create_task(place.replica._renew(first, "a: its weights differ"))  # type: ignore[arg-type]
        await asyncio.sleep(0.05)
        assert await asyncio.gather(*(place.ask(str(number)) for number in range(20))) == ["1"] * 20
        await renewing
        assert len(place.engines) == 2

    async def test_an_order_to_renew_gives_one_more_engine_and_a_report_of_it(self, place: Place) -> None:
        await place.publish(1)
        order = Order(number=0, action="again", version=Version(0, 1), details={"a": {"renew": True}})
        await place.registry.give(order)
        await _second_engine(place)
        await until(lambda: "a" in place.registry._book.reports, "it reports", 5)
        report = place.registry._book.reports["a"]
        assert (report.version, report.error, report.transport) == (Version(0, 1), "", "file")
        assert report.times is not None
        assert report.times.loaded == "loaded-sum-1"
        await asyncio.sleep(0.1)
        assert len(place.engines) == 2
        await _ended(place.engines[0])

    async def test_what_cannot_be_freed_of_the_old_one_costs_room_and_not_the_replica(self, place: Place) -> None:
        """Serve would take its failed task for an unwell replica, and replace the engine that serves."""
        first = place.engines[0]
        first.unburied = "the folder of its sockets is gone"
        first.died = "it died"
        first.on_death("a: its engine process died")
        await _second_engine(place)
        await until(lambda: first.ended == ["buried"], "it is buried", 5)
        await asyncio.sleep(0.02)
        await place.replica.check()

    async def test_none_is_made_where_another_has_its_place_by_now(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It was given up as its engine died, and a standby was called."""
        ask = place.replica._registry.ask

        async def given_up_before(method: str, *arguments: Any) -> Any:
            if method == "update" and arguments[0].state == "starting":
                await place.registry.leave("a", "it did not confirm weights")
            return await ask(method, *arguments)

        monkeypatch.setattr(place.replica._registry, "ask", given_up_before)
        await place.registry.join(Member(name="b", state="standby"))
        place.engines[0].died = "it died"
        place.engines[0].on_death("a: its engine process died")
        await until(lambda: place.replica.status().state == "standby", "it stands by", 5)
        await asyncio.sleep(0.05)
        assert len(place.engines) == 1
        await place.registry.leave("b", "its process ended")
        await _second_engine(place)
        assert await place.ask("r") == "1"


class TestOneThatCameWhileOthersWereMended:
    async def test_takes_the_version_that_it_has_not(self, place: Place) -> None:
        await place.store(1)
        details = {"another": {"renew": False}}
        report = await place.give(Order(number=0, action="again", version=Version(0, 1), details=details))
        assert (report.version, report.transport) == (Version(0, 1), "file")
        assert place.engines[0].version == Version(0, 1)

    async def test_takes_none_that_it_has(self, place: Place) -> None:
        await place.publish(1)
        details = {"another": {"renew": False}}
        report = await place.give(Order(number=0, action="again", version=Version(0, 1), details=details))
        assert (report.version, report.transport) == (Version(0, 1), "none")
        assert len(place.engines[0].taken) == 1


async def test_one_that_gives_up_frees_what_its_last_engine_left_before_it_goes(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[Member] = []

    async def sweep_after(member: Member) -> None:
        swept.append(member)

    monkeypatch.setattr(place.registry, "_sweep_after", sweep_after)
    assert registry_module._SWEEP_SECONDS > 0
    for number in range(3):
        await until(
            lambda number=number: getattr(place.replica._engine, "number", -1) == number,  # type: ignore[misc]
            "the next serves",
            10,
        )
        place.engines[number].died = "it died"
        place.engines[number].on_death("a: its engine process died")
    await until(lambda: bool(place.left), "the process leaves", 10)
    assert place.engines[2].ended == ["buried"]
    [member] = swept
    assert member.engine_pids == tuple(place.engines[2].pids)
    [lost] = await place.registry.lost()
    assert lost.why == (
        "a: 3 engines in a row died or were replaced, all but the first within 60 s; the last: its engine process died"
    )
