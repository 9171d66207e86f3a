"""What becomes of an actor whose constructor raises: told at its first start, tried again once Ray has made it anew."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from actors import restarts
from actors.players import actor as player_module
from actors.players.actor import ACTORS, Seat
from actors.restarts import tried_again
from actors.weights.registry import Registry
from actors.weights.transports.files import NOTE, file_name
from azr.errors import AzrError
from azr.game.types import Version
from tests.actors.games import small_config
from tests.actors.scripted import ScriptedEngines


class Left(BaseException):
    """In the place of the process's end."""


@pytest.fixture
def restarted(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is an actor that Ray made again."""

    def leave(_status: int) -> None:
        raise Left

    monkeypatch.setattr(restarts, "is_restarted", lambda: True)
    monkeypatch.setattr(restarts, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr("os._exit", leave)
    monkeypatch.setattr("logging.shutdown", lambda: None)


def test_at_the_first_start_whoever_started_it_hears_why() -> None:
    with pytest.raises(AzrError, match="no sandbox"), tried_again(logging.getLogger("test")):
        raise AzrError("no sandbox")


def _player(logs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_pool(*_: object) -> None:
        raise OSError("too many open files")

    monkeypatch.setattr(player_module, "log_into", lambda *_: None)
    monkeypatch.setattr(player_module, "open_pool", no_pool)
    seat = Seat(name="solver-0", role="solve", lanes=1, logs=logs, experience=(), tasks=())
    ACTORS["solve"](seat, small_config(Path(logs)), ScriptedEngines(Path(logs), Path(logs)))


@pytest.mark.usefixtures("restarted")
def test_a_player_that_was_made_again_leaves_to_be_made_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray starts none anew whose constructor raised: the run would end for want of it."""
    with pytest.raises(Left):
        _player(str(tmp_path), monkeypatch)
    log = (tmp_path / "solver-0.log").read_text()
    assert "leaves, for it could not be made again: OSError('too many open files')" in log


def test_a_player_that_starts_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="too many open files"):
        _player(str(tmp_path), monkeypatch)


@pytest.mark.usefixtures("restarted")
def test_so_does_a_registry(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    version = tmp_path / file_name(Version(0, 1))
    version.touch()
    Path(f"{version}{NOTE}").write_text("half of a no")
    with pytest.raises(Left):
        Registry(str(tmp_path), 2, {"shared": 1})
    assert "leaves, for it could not be made again" in caplog.text
