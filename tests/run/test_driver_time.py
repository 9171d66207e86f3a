"""How long a run has trained outlives its drivers, and whoever insists ends it without patience."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from azr.config import load
from azr.run.beginning import begin, goal_of
from azr.run.console import Console
from azr.run.driver import NOTE_SECONDS, Driver
from azr.run.folder import RunFolder
from azr.run.room import Room


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return begin(load(["tiny"], [f"run.folder={tmp_path}", "run.name=one"]))


def driver_of(folder: RunFolder) -> Driver:
    config = load(["tiny"], [f"run.folder={folder.root.parent}", "run.name=one"])
    return Driver(config, folder, Console(config.algorithm.game.task_types, goal_of(config)))


class Trained(Console):
    """A console that has seen so many seconds of training."""

    passed = 0.0

    @property
    def seconds(self) -> float:
        return self.passed


def test_a_second_signal_during_the_teardown_leaves_nobody_time(folder: RunFolder) -> None:
    driver = driver_of(folder)
    assert driver._patience == driver.config.cluster.stop_seconds
    driver._stop.signalled("Ctrl-C")
    assert driver._patience == driver.config.cluster.stop_seconds
    with pytest.raises(KeyboardInterrupt):
        driver._stop.signalled("Ctrl-C")
    assert driver._patience == 1.0


def test_a_disk_that_fills_is_said_at_the_next_note(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    driver, said = driver_of(folder), list[str]()
    driver._room = Room(folder.root, 1.0, free=lambda _folder: 0.25)
    monkeypatch.setattr(driver.console, "say", said.append)
    driver._note(1000.0)
    driver._note(2000.0)
    assert said == [f"the disk of {folder.root} has 0.2 GiB left; checkpoints that do not fit are left out"]


class TestTime:
    def test_how_long_training_lasted_is_kept_while_it_lasts(self, folder: RunFolder) -> None:
        driver = driver_of(folder)
        driver.console = console = Trained(["deduction"], goal_of(driver.config))
        console.passed = 30.0
        driver._note(1000.0)
        assert folder.card().elapsed_seconds == 30.0
        console.passed = 33.0
        driver._note(1000.0 + NOTE_SECONDS - 0.1)
        assert folder.card().elapsed_seconds == 30.0
        driver._note(1000.0 + NOTE_SECONDS)
        assert folder.card().elapsed_seconds == 33.0

    def test_a_driver_adds_to_what_earlier_ones_trained_and_to_nothing_twice(self, folder: RunFolder) -> None:
        folder.write(msgspec.structs.replace(folder.card(), elapsed_seconds=100.0))
        driver = driver_of(folder)
        driver.console = console = Trained(["deduction"], goal_of(driver.config))
        console.passed = 30.0
        driver._note(1000.0)
        driver._note(2000.0)
        assert driver.seconds == folder.card().elapsed_seconds == 130.0
