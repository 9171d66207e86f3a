"""Why an engine's process ended reaches whoever wanted the engine: in vLLM's own words, which stand in no log of ours
otherwise."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest
from vllm.v1.engine.exceptions import EngineDeadError

from actors.engine import causes
from actors.engine.causes import Cause, note_causes, one_line, take_cause
from actors.engine.engine import Engine, _told_apart, _unmade
from actors.engine.errors import EngineDiedError, EngineUnmadeError
from actors.engine.fork_server import warm_up
from actors.engine.leftovers import socket_folder
from actors.engine.settings import EngineSettings
from azr.config.sections.rollout import RolloutConfig
from azr.config.sections.weights import WeightsConfig
from tests.actors.engine.conftest import START_SECONDS, Loop
from tests.actors.waiting import until, until_now

VLLM = logging.getLogger("vllm.v1.engine.core")


@pytest.fixture
def noting(tmp_path: Path) -> Iterator[Path]:
    """This process notes there, as an engine does, until the test is over."""
    note_causes(tmp_path)
    yield tmp_path
    for name in causes._LOGGERS:
        logging.getLogger(name).filters.clear()


def _ends_of(error: Exception, words: str = "EngineCore failed to start.") -> None:
    """What vLLM logs of an exception."""
    try:
        raise error
    except Exception:
        VLLM.exception(words)


class TestNotes:
    def test_what_a_process_ended_of_is_told_once(self, noting: Path) -> None:
        _ends_of(ValueError("no room for\n  a cache"))
        cause = take_cause(noting)
        assert cause is not None
        assert (cause.pid, cause.error) == (os.getpid(), "ValueError: no room for a cache")
        assert "in _ends_of" in cause.traceback
        assert take_cause(noting) is None
        assert list(noting.iterdir()) == []

    def test_an_exception_that_a_caller_hears_of_is_no_cause(self, noting: Path) -> None:
        _ends_of(MemoryError("no memory"), "Invocation of azr_apply method failed")
        VLLM.error("EngineCore failed to start.")
        assert take_cause(noting) is None

    def test_a_process_forked_from_one_that_notes_does_not_note_twice(self, noting: Path) -> None:
        note_causes(noting / "elsewhere")
        _ends_of(ValueError("no room"))
        assert take_cause(noting) is not None
        assert not (noting / "elsewhere").exists()

    def test_where_nothing_can_be_written_the_process_ends_as_it_would(self, noting: Path) -> None:
        noting.chmod(0o500)
        try:
            _ends_of(ValueError("no room"))
        finally:
            noting.chmod(0o700)

    def test_the_workers_cause_comes_before_that_of_its_engine(self, tmp_path: Path) -> None:
        _note(tmp_path, Cause(8, 2.0, "RuntimeError: worker initialization failed", ""))
        _note(tmp_path, Cause(9, 1.0, "OutOfMemoryError: 3 GiB", ""))
        cause = take_cause(tmp_path)
        assert cause is not None
        assert cause.error == "OutOfMemoryError: 3 GiB"
        assert list(tmp_path.iterdir()) == []

    def test_what_other_processes_noted_is_left_to_others(self, tmp_path: Path) -> None:
        _note(tmp_path, Cause(8, 1.0, "ValueError: another engine's", ""))
        assert take_cause(tmp_path, [9]) is None
        assert take_cause(tmp_path, [8, 9]) is not None

    @pytest.mark.parametrize(
        "written",
        [b'{"pid": 7, "at"', b'{"pid": 7, "at": 1, "error": "\xff", "traceback": ""}', b'{"more": ' + b"[" * 200_000],
        ids=["half of it", "no UTF-8", "nested without end"],
    )
    def test_what_cannot_be_read_is_none(self, written: bytes, tmp_path: Path) -> None:
        (tmp_path / "cause-7").write_bytes(written)
        assert take_cause(tmp_path) is None

    def test_a_line_shows_nothing_that_acts_on_a_terminal_and_ends_somewhere(self) -> None:
        assert one_line(ValueError("\x1b[31m red\n")) == "ValueError: \\x1b[31m red"
        assert len(one_line(ValueError("long " * 1000))) == 800

    def test_what_pydantic_repeats_of_its_input_is_left_out(self) -> None:
        error = ValueError("1 validation error\n  Value error, too long [type=value_error, input_value=Args(…), …]")
        assert one_line(error) == "ValueError: 1 validation error Value error, too long"


class TestAnEngineThatCannotBeMade:
    def test_the_error_is_what_its_process_ended_of(
        self, model: Path, tmp_path: Path, loop: Loop, caplog: pytest.LogCaptureFixture
    ) -> None:
        long = tmp_path / "long"
        shutil.copytree(model, long)
        config = json.loads((long / "config.json").read_text())
        (long / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 1 << 16}))
        settings = EngineSettings.of(long, RolloutConfig(kv_cache_mb=1, max_sequences=8), WeightsConfig())
        with pytest.raises(EngineUnmadeError, match=r"^replica-b: ValueError: .*KV cache.*max_model_len"):
            loop(Engine.start(settings, name="replica-b"), START_SECONDS)
        assert "in run_engine_core" in caplog.text, "the whole of it goes into the replica's log"

    def test_what_vllm_refuses_before_there_is_a_process_is_told_alike(
        self, model: Path, loop: Loop, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings = EngineSettings.of(model, RolloutConfig(max_model_len=1 << 20), WeightsConfig())
        with pytest.raises(EngineUnmadeError, match=r"^replica-b: ValidationError: .*max_model_len"):
            loop(Engine.start(settings, name="replica-b"), START_SECONDS)
        assert "in from_engine_args" in caplog.text

    def test_one_that_is_killed_as_it_is_made_is_another_matter(self, model: Path, loop: Loop) -> None:
        settings = EngineSettings.of(model, RolloutConfig(max_sequences=8), WeightsConfig())
        warm_up()
        before = set(psutil.Process().children(recursive=True))

        def made() -> set[psutil.Process]:
            return set(psutil.Process().children(recursive=True)) - before

        async def start_and_kill() -> Engine:
            starting = asyncio.create_task(Engine.start(settings, name="replica-b"))
            await until(lambda: bool(made()), "a process is forked for the engine")
            for process in made():
                process.kill()
            return await starting

        with pytest.raises(EngineDiedError, match=r"^replica-b: its engine process died as it was made"):
            loop(start_and_kill(), START_SECONDS)


def test_an_engine_whose_worker_was_killed_is_made_anew() -> None:
    """It knows no more than that, and blames a trace that nobody wrote."""
    error = RuntimeError("Engine core initialization failed. See root cause above.")
    cause = Cause(
        9, 1.0, "Exception: WorkerProc initialization failed due to an exception in a background process.", ""
    )
    assert isinstance(_unmade("r", error, cause), EngineDiedError)
    assert isinstance(_unmade("r", error, Cause(9, 1.0, "OutOfMemoryError: 3 GiB", "")), EngineUnmadeError)


def test_one_that_says_it_is_dead_before_it_ends_is_ended_at_once(model: Path, loop: Loop) -> None:
    """Its farewell takes seconds with cards, and whoever asked again meanwhile would hear the same."""
    settings = EngineSettings.of(model, RolloutConfig(max_sequences=8), WeightsConfig())
    engine = loop(Engine.start(settings, name="replica-b"), START_SECONDS)
    told: list[str] = []
    engine.on_death = told.append
    with pytest.raises(EngineDiedError), _told_apart(engine):
        raise EngineDeadError
    until_now(lambda: bool(told), "its death is told")
    with pytest.raises(EngineDiedError):
        loop(engine.check())
    loop(engine.end())


def test_what_an_engine_dies_of_later_is_told_with_its_death(model: Path, loop: Loop) -> None:
    settings = EngineSettings.of(model, RolloutConfig(max_sequences=8), WeightsConfig())
    engine = loop(Engine.start(settings, name="replica-b"), START_SECONDS)
    told: list[str] = []
    engine.on_death = told.append
    (pid,) = engine.pids
    _note(socket_folder(), Cause(pid, 1.0, "RuntimeError: an illegal memory access", ""))
    psutil.Process(pid).kill()
    until_now(lambda: bool(told), "its death is told")
    assert told == [f"replica-b: its engine process {pid} died of RuntimeError: an illegal memory access"]
    loop(engine.end())


def _note(folder: Path, cause: Cause) -> None:
    (folder / f"cause-{cause.pid}").write_bytes(msgspec.json.encode(cause))
