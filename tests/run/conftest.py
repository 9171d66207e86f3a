"""A driver of a run of the embedded model, of which no part stands, and what it says."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from azr.config import load
from azr.run.console import Console, Goal
from azr.run.driver import Driver
from azr.run.folder import Card, RunFolder


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def driver(tmp_path: Path, said: io.StringIO) -> Driver:
    config = load(["tiny"], [f"run.folder={tmp_path}"])
    folder = RunFolder.of(str(tmp_path), "tiny")
    folder.create(Card(name="tiny", started=0.0))
    return Driver(config, folder, Console(("deduction",), Goal(), stream=said, terminal=False))
