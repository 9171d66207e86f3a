"""Client and server over real connections, with an engine's place taken by a function: who is asked, and again when."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from ray.exceptions import ActorUnavailableError

from actors.engine.errors import EngineDiedError, EngineError, NoEngineError, RefusedRequestError
from actors.engine.records import GenerateRequest, Generation, Response
from actors.rollout import client as module
from actors.rollout.client import RolloutClient
from actors.rollout.errors import Cause, RolloutError
from actors.rollout.server import Server
from actors.rollout.wire import Kind, frame
from actors.weights.records import Member
from azr.game.types import Version, VersionSpan
from tests.actors.waiting import until

TOKEN = "secret"

Answer = Callable[[GenerateRequest], Awaitable[Generation]]


def _generation(request: GenerateRequest, name: str) -> Generation:
    response = Response(
        token_ids=np.array([1, 2], np.int32),
        logprobs=np.array([-0.5, -1.5], np.float32),
        spans=(VersionSpan(0, 2, Version(0, 3)),),
        text="ab",
    )
    return Generation(request=request.id, responses=(response,) * request.samples, replica=name)


class _Method:
    """`registry.method.remote(…)`, as Ray has it."""

    def __init__(self, function: Callable[..., Awaitable[Any]]) -> None:
        self.remote = function


class FakeRegistry:
    """Knows the replicas that a test says there are."""

    def __init__(self) -> None:
        self.away = 0
        """How many questions from now on find it being restarted."""
        self.members: list[Member] = []
        self.changed = asyncio.Event()
        self.sequence = 0
        self.watch_members = _Method(self._watch)

    async def _watch(self, pool: str, after: int, seconds: float) -> tuple[int, list[Member]]:
        if self.away:
            self.away -= 1
            raise ActorUnavailableError("the actor is restarting", None)
        if self.sequence <= after:
            self.changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.changed.wait(), seconds)
        return self.sequence, [member for member in self.members if member.pool == pool]

    def say(self, *members: Member) -> None:
        """These are there from now on."""
        self.members = list(members)
        self.sequence += 1
        self.changed.set()


class Fleet:
    """Servers by name, a registry that knows them, and a client that asks them."""

    def __init__(self) -> None:
        self.registry = FakeRegistry()
        self.client = RolloutClient(self.registry, attempts=3)
        self.servers: dict[str, Server] = {}
        self.asked: dict[str, list[str]] = {}

    async def add(self, name: str, answer: Answer | None = None, *, limit: int = 64, token: str = TOKEN) -> Server:
        """A replica that answers by a function; without one, at once."""
        self.asked[name] = []

        async def noted(request: GenerateRequest) -> Generation:
            self.asked[name].append(request.id)
            return await answer(request) if answer else _generation(request, name)

        server = self.servers[name] = await Server.start(noted, token=token, limit=limit, address="127.0.0.1")
        self.tell()
        return server

    def tell(self, **states: str) -> None:
        """Tell the registry of all servers; some may be in another state than serving."""
        self.registry.say(
            *(
                Member(
                    name=name,
                    address="127.0.0.1",
                    port=server.port,
                    token=TOKEN,
                    state=states.get(name, "serving"),  # type: ignore[arg-type]
                )
                for name, server in self.servers.items()
            )
        )


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    fleet = Fleet()
    yield fleet
    await fleet.client.close()
    for server in fleet.servers.values():
        await server.close()


def _ask(name: str = "r", **changes: Any) -> GenerateRequest:
    return GenerateRequest(id=name, prompt_ids=(1, 2, 3), **changes)


async def _never(_request: GenerateRequest) -> Generation:
    await asyncio.Event().wait()
    raise AssertionError


class TestAnswers:
    async def test_a_generation_arrives_as_it_was_made(self, fleet: Fleet) -> None:
        await fleet.add("a")
        generation = await fleet.client.generate(_ask(samples=2), 10)
        assert (generation.request, generation.replica, len(generation.responses)) == ("r", "a", 2)
        response = generation.responses[1]
        assert response.token_ids.tolist() == [1, 2]
        assert response.logprobs.tolist() == [-0.5, -1.5]
        assert response.spans == (VersionSpan(0, 2, Version(0, 3)),)

    async def test_many_are_in_flight_on_one_connection_and_none_is_mixed_up(self, fleet: Fleet) -> None:
        async def later(request: GenerateRequest) -> Generation:
            await asyncio.sleep(0.02 * (int(request.id) % 5))
            return _generation(request, "a")

        await fleet.add("a", later)
        generations = await asyncio.gather(*(fleet.client.generate(_ask(str(i)), 10) for i in range(60)))
        assert [generation.request for generation in generations] == [str(i) for i in range(60)]


class TestWhoIsAsked:
    async def test_the_least_busy(self, fleet: Fleet) -> None:
        await fleet.add("a", _never)
        await fleet.add("b", _never)
        await fleet.client.ready(2, 10)
        tasks = [asyncio.create_task(fleet.client.generate(_ask(str(i)), 10)) for i in range(40)]
        await until(lambda: sum(fleet.client.replicas.values()) == 40, "all are sent")
        assert fleet.client.replicas == {"a": 20, "b": 20}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def test_nobody_but_those_that_serve(self, fleet: Fleet) -> None:
        await fleet.add("serves")
        await fleet.add("stands by")
        fleet.tell(**{"stands by": "standby"})
        for i in range(10):
            await fleet.client.generate(_ask(str(i)), 10)
        assert fleet.asked["stands by"] == []

    async def test_one_that_comes_later_is_asked_too(self, fleet: Fleet) -> None:
        waiting = asyncio.create_task(fleet.client.generate(_ask(), 10))
        await asyncio.sleep(0.05)
        await fleet.add("late")
        assert (await waiting).replica == "late"

    async def test_one_that_leaves_answers_what_it_has_and_is_asked_no_more(self, fleet: Fleet) -> None:
        go = asyncio.Event()

        async def when_told(request: GenerateRequest) -> Generation:
            await go.wait()
            return _generation(request, "leaving")

        await fleet.add("leaving", when_told)
        taken = asyncio.create_task(fleet.client.generate(_ask("taken"), 10))
        await until(lambda: fleet.asked["leaving"] == ["taken"], "it is taken")
        await fleet.add("other")
        fleet.tell(leaving="leaving")
        await until(lambda: len(fleet.client.replicas) == 2, "the other is known")
        await asyncio.sleep(0.05)
        assert (await fleet.client.generate(_ask("new"), 10)).replica == "other"
        draining = asyncio.create_task(fleet.servers["leaving"].drain(5))
        go.set()
        assert (await taken).replica == "leaving"
        assert await draining == 0


class TestDeaths:
    async def test_what_a_dead_replica_had_is_answered_by_another(self, fleet: Fleet) -> None:
        await fleet.add("dies", _never)
        tasks = [asyncio.create_task(fleet.client.generate(_ask(str(i)), 10)) for i in range(10)]
        await until(lambda: len(fleet.asked["dies"]) == 10, "all are taken")
        await fleet.add("lives")
        await until(lambda: len(fleet.client.replicas) == 2, "the other is known")
        await fleet.servers.pop("dies").close()
        assert {(await task).replica for task in tasks} == {"lives"}
        assert fleet.client.retries == 10

    async def test_an_engine_that_died_sends_its_requests_elsewhere(self, fleet: Fleet) -> None:
        async def dead(_request: GenerateRequest) -> Generation:
            raise EngineDiedError("a: its engine process 1 died")

        await fleet.add("a", dead)
        await fleet.add("b")
        await fleet.client.ready(2, 10)
        generations = await asyncio.gather(*(fleet.client.generate(_ask(str(i)), 10) for i in range(20)))
        assert {generation.replica for generation in generations} == {"b"}

    async def test_a_replica_that_fails_at_once_poisons_no_request_that_another_answers(self, fleet: Fleet) -> None:
        """It is never busy, while the other is."""

        async def fails(_request: GenerateRequest) -> Generation:
            raise EngineError("a: out of something")

        async def later(request: GenerateRequest) -> Generation:
            await asyncio.sleep(0.05)
            return _generation(request, "b")

        await fleet.add("a", fails)
        await fleet.add("b", later)
        await fleet.client.ready(2, 10)
        generations = await asyncio.gather(*(fleet.client.generate(_ask(str(i)), 10) for i in range(40)))
        assert {generation.replica for generation in generations} == {"b"}
        assert len(set(fleet.asked["a"])) == len(fleet.asked["a"]), "nor is it asked twice for what it failed at"

    async def test_a_request_of_which_engines_die_is_called_poisoned_too(self, fleet: Fleet) -> None:
        async def dies(_request: GenerateRequest) -> Generation:
            raise EngineDiedError("its engine process 1 died")

        await fleet.add("a", dies)
        await fleet.add("b", dies)
        await fleet.client.ready(2, 10)
        with pytest.raises(RolloutError, match=r"failed 3 times: .*died") as caught:
            await fleet.client.generate(_ask(), 10)
        assert caught.value.cause == "poisoned"

    async def test_a_replica_without_an_engine_is_no_death(self, fleet: Fleet) -> None:
        engine = asyncio.Event()

        async def when_there_is_one(request: GenerateRequest) -> Generation:
            if not engine.is_set():
                raise NoEngineError("a has no engine now")
            return _generation(request, "a")

        await fleet.add("a", when_there_is_one)
        task = asyncio.create_task(fleet.client.generate(_ask(), 10))
        await until(lambda: len(fleet.asked["a"]) >= 5, "more often than it may die")
        engine.set()
        assert (await task).replica == "a"
        assert fleet.client.retries == 0, "it was never taken, and is offered five times a second"

    async def test_a_request_that_fails_everywhere_is_called_poisoned_after_so_many_attempts(
        self, fleet: Fleet
    ) -> None:
        async def fails(_request: GenerateRequest) -> Generation:
            raise EngineError("a: out of something")

        await fleet.add("a", fails)
        with pytest.raises(RolloutError, match=r"request r failed 3 times: .*out of something") as caught:
            await fleet.client.generate(_ask(), 10)
        assert caught.value.cause == "poisoned"
        assert fleet.asked["a"] == ["r"] * 3

    async def test_a_refused_request_is_not_sent_again(self, fleet: Fleet) -> None:
        async def refuses(_request: GenerateRequest) -> Generation:
            raise RefusedRequestError("a refuses the request: too long")

        await fleet.add("a", refuses)
        await fleet.add("b", refuses)
        with pytest.raises(RolloutError, match="too long") as caught:
            await fleet.client.generate(_ask(), 10)
        assert caught.value.cause == "refused"
        assert fleet.client.retries == 0

    async def test_a_replica_that_holds_all_it_may_sends_the_rest_elsewhere(self, fleet: Fleet) -> None:
        await fleet.add("full", _never, limit=2)
        await fleet.client.ready(1, 10)
        held = [asyncio.create_task(fleet.client.generate(_ask(str(i)), 10)) for i in range(2)]
        await until(lambda: len(fleet.asked["full"]) == 2, "it is full")
        third = asyncio.create_task(fleet.client.generate(_ask("third"), 10))
        await asyncio.sleep(0.05)
        await fleet.add("other")
        assert (await third).replica == "other"
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)


class TestAReplicaThatServesOn:
    """The registry has nothing new to say of it."""

    async def test_a_connection_that_ends_is_opened_again(self, fleet: Fleet) -> None:
        server = await fleet.add("a")
        await fleet.client.ready(1, 10)
        for number in range(3):
            for writer in tuple(server._connections):
                writer.close()
            await until(lambda: not fleet.client.replicas, "the connection ended", 5)
            generation = await fleet.client.generate(_ask(str(number)), 5)
            assert generation.replica == "a"

    async def test_a_connection_that_could_not_be_opened_is_tried_again(self, fleet: Fleet) -> None:
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))  # and does not listen: whoever connects is refused
            port = reserved.getsockname()[1]
            fleet.registry.say(Member(name="a", address="127.0.0.1", port=port, token=TOKEN, state="serving"))
            waiting = asyncio.create_task(fleet.client.generate(_ask(), 10))
            await asyncio.sleep(0.5)

        async def answer(request: GenerateRequest) -> Generation:
            return _generation(request, "a")

        server = Server(answer, TOKEN, 64)
        server._server = await asyncio.start_server(server._serve, "127.0.0.1", port)
        assert (await waiting).replica == "a"
        await server.close()

    async def test_one_that_serves_no_more_is_tried_no_more(self, fleet: Fleet) -> None:
        server = await fleet.add("a")
        await fleet.client.ready(1, 10)
        fleet.tell(a="standby")
        await asyncio.sleep(0.05)
        for writer in tuple(server._connections):
            writer.close()
        await until(lambda: not fleet.client._kept, "nobody keeps it", 5)
        assert fleet.client.replicas == {}


async def test_a_registry_that_is_away_is_told_once_an_outage(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(module, "_WATCH_SECONDS", 0.01)
    for outage in (1, 2):
        fleet.registry.away = 5
        await fleet.add(f"replica {outage}")
        await fleet.client.ready(outage, 10)
        assert [record.getMessage()[:29] for record in caplog.records] == ["the registry cannot be asked "] * outage


@pytest.mark.parametrize("cause", ["deadline", "refused", "poisoned"])
def test_how_asking_failed_is_told_with_its_mend_and_travels_between_processes(cause: Cause) -> None:
    error = RolloutError(cause, "request r: nobody answers")
    assert str(error).startswith("request r: nobody answers\n  mend: ")
    travelled = pickle.loads(pickle.dumps(error))
    assert (travelled.cause, travelled.what, travelled.mend) == (cause, error.what, error.mend)


class TestEnds:
    async def test_time_that_runs_out_names_the_replica_and_takes_the_request_out_of_it(self, fleet: Fleet) -> None:
        server = await fleet.add("slow", _never)
        with pytest.raises(RolloutError, match=r"request r: no answer from slow within 0.2 s") as caught:
            await fleet.client.generate(_ask(), 0.2)
        assert caught.value.cause == "deadline"
        await until(lambda: server.unanswered == 0, "the replica was told", 5)

    async def test_a_cancelled_request_is_taken_out_of_the_replica(self, fleet: Fleet) -> None:
        server = await fleet.add("a", _never)
        task = asyncio.create_task(fleet.client.generate(_ask(), 10))
        await until(lambda: server.unanswered == 1, "it is taken")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: server.unanswered == 0, "the replica was told", 5)

    async def test_a_client_that_dies_leaves_nothing_in_the_replica(self, fleet: Fleet) -> None:
        server = await fleet.add("a", _never)
        task = asyncio.create_task(fleet.client.generate(_ask(), 10))
        await until(lambda: server.unanswered == 1, "it is taken")
        await fleet.client.close()
        with pytest.raises(RolloutError):
            await task
        await until(lambda: server.unanswered == 0, "the replica noticed", 5)

    async def test_a_closed_client_answers_nothing_more(self, fleet: Fleet) -> None:
        await fleet.client.close()
        with pytest.raises(RolloutError) as caught:
            await fleet.client.generate(_ask(), 10)
        assert caught.value.cause == "closed"


class TestStrangers:
    async def test_who_does_not_know_the_token_is_answered_nothing(self, fleet: Fleet) -> None:
        server = await fleet.add("a")
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(frame(0, Kind.HELLO, b"guess") + frame(1, Kind.ASK, b"anything"))
        assert await asyncio.wait_for(reader.read(), 5) == b""
        assert fleet.asked["a"] == []
        writer.close()

    async def test_who_has_not_said_it_gets_no_memory(self, fleet: Fleet) -> None:
        server = await fleet.add("a")
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(frame(0, Kind.HELLO, bytes(100_000)))
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()

    async def test_bytes_that_are_no_frame_end_the_connection(self, fleet: Fleet) -> None:
        server = await fleet.add("a")
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()

    async def test_a_request_that_is_no_record_is_refused(self, fleet: Fleet) -> None:
        server = await fleet.add("a")
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(frame(0, Kind.HELLO, TOKEN.encode()) + frame(1, Kind.ASK, b"\x80\x04pickle"))
        answer = await asyncio.wait_for(reader.readexactly(40), 5)
        assert answer[12] == Kind.FAILURE
        assert fleet.asked["a"] == []
        writer.close()
