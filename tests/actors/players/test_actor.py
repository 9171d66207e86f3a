"""The actor around a player: what is said in its process stands in its log in the run's folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.players.actor import ACTORS, Seat
from azr.game.types import Version
from tests.actors.games import small_config
from tests.actors.scripted import ScriptedEngines, publish, save_tokenizer


@pytest.fixture
def handlers_kept() -> Iterator[None]:
    """The log's handlers go with the test: this process has other actors to log for."""
    loggers = [logging.getLogger(name) for name in ("actors", "vllm")]
    before = [(logger, list(logger.handlers), logger.level) for logger in loggers]
    yield
    for logger, handlers, level in before:
        logger.handlers[:] = handlers
        logger.setLevel(level)


@pytest.mark.usefixtures("handlers_kept")
def test_what_the_rollout_client_says_stands_in_the_players_log(tmp_path: Path) -> None:
    save_tokenizer(tmp_path / "model")
    publish(tmp_path / "version", Version(0, 0))
    engines = ScriptedEngines(tmp_path / "model", tmp_path / "version")
    logs = tmp_path / "logs"
    seat = Seat(name="solver-0", role="solve", lanes=1, logs=str(logs), experience=(), tasks=())
    config = small_config(tmp_path / "model")
    config.actors.sandbox_workers = 1
    player = ACTORS["solve"](seat, config, engines)
    logging.getLogger("actors.rollout.client").warning("replica-a cannot be reached")
    assert player.stop(5.0) == []
    log = (logs / "solver-0.log").read_text()
    assert log.count("started as process") == 1
    assert log.count("WARNING replica-a cannot be reached") == 1
