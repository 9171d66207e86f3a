"""One real engine for all tests of this folder, on an event loop of its own: starting vLLM takes half a minute."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from actors.engine.engine import Engine
from actors.engine.settings import EngineSettings
from azr.config.sections.rollout import RolloutConfig
from azr.config.sections.weights import WeightsConfig
from tests.actors.engine.breaking import BreakingExtension
from tests.actors.tiny import save_engine_model

Answer = TypeVar("Answer")

BREAKING = f"{BreakingExtension.__module__}.{BreakingExtension.__qualname__}"

#: Starting vLLM takes 15 s on two quiet cores, and minutes on busy ones.
START_SECONDS = 280


class Loop:
    """An event loop in a thread, which outlives single tests."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def __call__(self, work: Coroutine[Any, Any, Answer], seconds: float = 120.0) -> Answer:
        """Run it there and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)

    def close(self) -> None:
        """End the loop."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


@pytest.fixture(scope="package")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_engine_model(tmp_path_factory.mktemp("engine") / "model")


@pytest.fixture(scope="package")
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture(scope="package")
def engine(model: Path, loop: Loop) -> Iterator[Engine]:
    """Small steps (64 tokens), so that prompts are prefilled in parts, as they are in earnest; and workers whose load
    can be made to break off."""
    rollout = RolloutConfig(
        max_sequences=64, max_batched_tokens=256, engine_arguments={"worker_extension_cls": BREAKING}
    )
    settings = EngineSettings.of(model, rollout, WeightsConfig(apply_seconds=60))
    engine = loop(Engine.start(settings, name="replica-a"), START_SECONDS)
    yield engine
    loop(engine.close())
