"""Exchanges with the learner's ranks: a worker that does not come back from one is asked nothing more."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.worker.gpu_worker import Worker as VllmWorker

from actors.engine.engine import Engine
from actors.engine.errors import EngineError, EngineOverdueError, EngineStuckError, TornWeightsError
from actors.rollout.replica import Replica
from actors.weights.records import Order, Report
from azr.config.sections.weights import WeightsConfig
from azr.game.types import Version


def engine_of(name: str = "a") -> Engine:
    """As much of an engine as a leg needs."""
    engine = object.__new__(Engine)
    engine.name, engine.died, engine.torn, engine.stuck, engine._tasks = name, "", "", "", set()
    return engine


async def _never() -> None:
    await asyncio.sleep(600)


async def _refuses() -> None:
    raise RuntimeError("no route to host")


class TestAnEngine:
    def test_that_waits_for_others_beyond_its_time_is_stuck(self) -> None:
        engine = engine_of()
        with pytest.raises(EngineStuckError, match=r"a: update took longer than 0\.01 s, and its worker still waits"):
            asyncio.run(engine._exchange("update", 0.01, _never()))
        assert engine.stuck.startswith("a: update took longer")

    def test_that_is_told_what_went_wrong_is_not(self) -> None:
        engine = engine_of()
        with pytest.raises(EngineError, match="a: init failed: no route to host"):
            asyncio.run(engine._exchange("init", 5.0, _refuses()))
        assert engine.stuck == ""

    def test_that_is_slow_over_another_leg_is_not(self) -> None:
        engine = engine_of()
        with pytest.raises(EngineOverdueError, match="a: apply took longer"):
            asyncio.run(engine._leg("apply", 0.01, _never()))
        assert engine.stuck == ""


class Worker:
    """vLLM's front end, and what it has its worker do."""

    def __init__(self) -> None:
        self.llm: Any = object.__new__(AsyncLLM)
        self.llm.collective_rpc = self.collective_rpc
        self.done: list[str] = []

    async def collective_rpc(self, method: str, kwargs: Any = None) -> None:
        """Done by vLLM's real worker."""
        assert callable(getattr(VllmWorker, method))
        self.done.append(method)


def test_an_engine_leaves_its_group_before_it_joins_another() -> None:
    """vLLM's worker forgets the one before: its communicator would stay on the card, one more with each regrouping."""
    engine, worker = engine_of(), Worker()
    engine._llm = worker.llm
    engine.settings = SimpleNamespace(weights_config=WeightsConfig())  # type: ignore[assignment]
    asyncio.run(engine.native_init({"rank_offset": 1}))
    assert worker.done == ["shutdown_weight_transfer_engine", "init_weight_transfer_engine"]


class TestItsReplica:
    """Which of two ways it takes after an update that failed."""

    @staticmethod
    def carried_out(error: Exception, stuck: str) -> tuple[Report | None, list[str]]:
        done: list[str] = []

        async def by_transport(_engine: Any, _order: Order) -> Any:
            raise error

        async def heal(_engine: Any) -> None:
            done.append("heal")

        replica: Any = object.__new__(Replica)
        replica.name, replica._intake, replica._heal = "a", SimpleNamespace(by_transport=by_transport), heal
        replica._orders_failed = 0
        replica._renew = lambda _engine, why: why
        replica._spawn = lambda work: done.append(f"renew: {work}")
        engine = SimpleNamespace(version=Version(0, 1), torn="", stuck=stuck)
        order = Order(number=3, action="native_update", version=Version(0, 2))
        return asyncio.run(replica._carry_out(engine, order)), done

    def test_a_stuck_engine_is_replaced_without_asking_it_to_take_the_file(self) -> None:
        report, done = self.carried_out(TornWeightsError("torn"), stuck="its worker still waits")
        assert done == ["renew: its worker still waits"]
        assert report is not None
        assert report.error == "torn"

    def test_one_that_is_torn_and_answers_takes_the_file(self) -> None:
        _, done = self.carried_out(TornWeightsError("torn"), stuck="")
        assert done == ["heal"]

    def test_one_stuck_as_its_group_formed_is_replaced_although_nothing_is_torn(self) -> None:
        _, done = self.carried_out(EngineStuckError("init"), stuck="it waits in its group")
        assert done == ["renew: it waits in its group"]
