"""Logs of actors: a file where there can be one, and no reason to end where there cannot."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.logs import log_into, open_log


@pytest.fixture
def handlers() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("actors", "vllm")]
    before = [(logger, list(logger.handlers), logger.level) for logger in loggers]
    yield
    for logger, kept, level in before:
        logger.handlers[:] = kept
        logger.setLevel(level)


@pytest.mark.usefixtures("handlers")
def test_an_actor_whose_node_cannot_make_the_folder_goes_on_and_says_so_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on a node of a cluster that does not have the disk on which the run's folder is."""
    (tmp_path / "disk").touch()
    folder = str(tmp_path / "disk" / "logs")
    log_into(folder, "player-without-a-log")
    assert open_log(folder, "player-without-a-log").handlers == []
    told = capsys.readouterr().err
    assert told.count(f"no log is written to {folder}/player-without-a-log.log: ") == 1


@pytest.mark.usefixtures("handlers")
def test_what_an_actor_logs_is_in_its_file_with_control_characters_shown(tmp_path: Path) -> None:
    log_into(str(tmp_path / "logs"), "player-with-a-log")
    logging.getLogger("actors.anything").info("it wrote \x1b[31m")
    written = (tmp_path / "logs" / "player-with-a-log.log").read_text()
    assert "it wrote" in written
    assert "\x1b" not in written
    for handler in open_log(str(tmp_path / "logs"), "player-with-a-log").handlers:
        handler.close()
