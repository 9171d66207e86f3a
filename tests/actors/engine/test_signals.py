"""An engine that is told to end, or that hangs: what it was sampling counts for nothing, and it is called unwell."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from vllm.v1.engine import FinishReason

from actors.engine import engine as module
from actors.engine.engine import Engine
from actors.engine.errors import EngineDiedError, EngineError, EngineStuckError, StagingError
from actors.engine.records import GenerateRequest, Generation
from actors.engine.settings import EngineSettings
from actors.engine.statistics import StepCounter
from azr.config.sections.rollout import RolloutConfig
from azr.config.sections.weights import WeightsConfig
from azr.game.types import Version
from tests.actors.engine.conftest import START_SECONDS, Loop
from tests.actors.waiting import until, until_now


def _ask(name: str, tokens: int = 400, samples: int = 2) -> GenerateRequest:
    return GenerateRequest(id=name, prompt_ids=tuple(b"f(x) = "), max_tokens=tokens, samples=samples, ignore_end=True)


class TestHowResponsesEnd:
    @staticmethod
    def required(*reasons: FinishReason) -> list[str]:
        """What is done about responses that ended so."""
        killed: list[str] = []
        engine: Any = object.__new__(Engine)
        engine.name, engine.died, engine.kill = "a", "", lambda: killed.append("killed")
        engine._require_whole(_ask("r"), [SimpleNamespace(finish_reason=str(reason)) for reason in reasons])
        return killed

    def test_by_a_stop_token_or_at_its_length_it_is_whole(self) -> None:
        assert self.required(FinishReason.STOP, FinishReason.LENGTH) == []

    def test_one_that_the_engine_aborted_among_whole_ones_is_the_engines_death(self) -> None:
        with pytest.raises(EngineDiedError, match="a: the engine ended with request r in it"):
            self.required(FinishReason.STOP, FinishReason.ABORT)

    @pytest.mark.parametrize("reason", sorted(set(FinishReason) - {FinishReason.STOP, FinishReason.LENGTH}), ids=str)
    def test_by_anything_else_it_is_none(self, reason: FinishReason) -> None:
        with pytest.raises(EngineError):
            self.required(FinishReason.STOP, reason)


class TestSilence:
    """An engine's counter and front end, without the engine."""

    @pytest.fixture
    def engine(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        monkeypatch.setattr(module, "_SILENT_SECONDS", 0.2)
        engine: Any = object.__new__(Engine)
        engine.name, engine.died, engine.torn, engine.stuck = "a", "", "", ""
        engine.settings = SimpleNamespace(weights_config=WeightsConfig())
        engine._open, engine._closed_at, engine._busy_since = asyncio.Event(), time.monotonic(), time.monotonic()
        engine._open.set()
        engine._counter = StepCounter()
        engine._unfinished = lambda: 1
        yield engine

    async def test_with_requests_in_it_is_called_a_hang_after_a_while(self, engine: Any) -> None:
        await engine.check()
        await asyncio.sleep(0.25)
        with pytest.raises(EngineStuckError, match=r"a: it has requests and said nothing for more than 0\.2 s"):
            await engine.check()
        assert engine.stuck

    async def test_without_requests_is_rest(self, engine: Any) -> None:
        engine._unfinished = lambda: 0
        await asyncio.sleep(0.25)
        await engine.check()

    async def test_that_steps_break_is_none(self, engine: Any) -> None:
        for _ in range(5):
            await asyncio.sleep(0.1)
            engine._counter.record(None, None)
            await engine.check()

    async def test_while_weights_are_put_in_place_is_bounded_by_that(self, engine: Any) -> None:
        engine._open.clear()
        await asyncio.sleep(0.25)
        await engine.check()


class TestStaging:
    """Weights that are long on their way are another matter than an engine that does not answer."""

    @staticmethod
    def engine_that(rpc: Any, pause_seconds: float) -> Any:
        engine: Any = object.__new__(Engine)
        engine.name, engine.died, engine.torn, engine.stuck, engine._tasks = "a", "", "", "", set()
        engine.settings = SimpleNamespace(weights_config=WeightsConfig(pause_seconds=pause_seconds))
        engine._rpc = rpc
        return engine

    @pytest.mark.parametrize("hangs_at", ["azr_stage", "azr_staged"])
    async def test_an_engine_that_does_not_answer_is_stuck(self, hangs_at: str) -> None:
        async def rpc(method: str, *_arguments: Any) -> Any:
            if method == hangs_at:
                await asyncio.sleep(600)
            return [{"done": False}]

        engine = self.engine_that(rpc, 0.05)
        with pytest.raises(EngineStuckError, match=r"a: stage took longer than 0\.05 s, and it does not answer"):
            await engine._stage("file", {}, "", 0.01)
        assert engine.stuck

    async def test_one_that_answers_slowly_that_they_have_not_come_is_not(self) -> None:
        async def rpc(_method: str, *_arguments: Any) -> Any:
            await asyncio.sleep(0.1)  # a long step; the time for the weights is over in the middle of one
            return [{"done": False}]

        engine = self.engine_that(rpc, 5.0)
        with pytest.raises(StagingError, match=r"a: weights were not at hand within 0\.15 s"):
            await engine._stage("file", {}, "", 0.15)
        assert engine.stuck == ""


def test_requests_in_an_engine_that_is_told_to_end_die_with_it_and_give_no_stumps(model: Path, loop: Loop) -> None:
    settings = EngineSettings.of(model, RolloutConfig(max_sequences=16), WeightsConfig())
    engine = loop(Engine.start(settings, name="replica-b"), START_SECONDS)
    told: list[str] = []
    engine.on_death = told.append

    async def asked() -> list[Any]:
        # Far more than are sampled at a time: some only wait, and on a slow machine the first may be answered before
        # the signal is sent.
        tasks = [asyncio.create_task(engine.generate(_ask(str(number)))) for number in range(100)]
        await until(lambda: engine.statistics().generated_tokens > 64, "sampling goes on")
        os.kill(engine.pids[0], signal.SIGTERM)
        return await asyncio.gather(*tasks, return_exceptions=True)

    answers = loop(asked())
    deaths = [answer for answer in answers if isinstance(answer, EngineDiedError)]
    whole = [answer for answer in answers if isinstance(answer, Generation)]
    assert len(deaths) + len(whole) == len(answers), answers
    assert len(deaths) > len(answers) // 2
    assert {len(response.token_ids) for answer in whole for response in answer.responses} <= {400}
    until_now(lambda: bool(told), "its death is told", 5)
    loop(engine.end())


def test_an_engine_that_hangs_is_called_unwell_takes_no_weights_and_can_be_closed(
    model: Path, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SILENT_SECONDS", 2.0)
    settings = EngineSettings.of(model, RolloutConfig(max_sequences=8), WeightsConfig(pause_seconds=1.0))
    engine = loop(Engine.start(settings, name="replica-b"), START_SECONDS)
    [pid] = engine.pids

    async def hang() -> None:
        await engine.generate(_ask("before", 4))
        await asyncio.sleep(2.5)
        asked = asyncio.create_task(engine.generate(_ask("in flight")))
        await until(lambda: engine._unfinished() > 0, "it is in the engine")
        await engine.check()  # it was silent, but had nothing to do
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(2.5)
        with pytest.raises(EngineStuckError, match="said nothing for more than 2 s"):
            await engine.check()
        with pytest.raises(EngineStuckError, match="stage took longer than 1 s, and it does not answer"):
            await engine.update(Version(0, 1), "file", {"path": "/nowhere"})
        await engine.close()
        with pytest.raises(EngineDiedError):
            await asked

    loop(hang())
    until_now(lambda: not psutil.pid_exists(pid), "its process is gone", 10)
