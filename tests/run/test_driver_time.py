"""How long a run has trained outlives its drivers, and who insists ends it without patience."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from azr.config import load
from azr.errors import AzrError
from azr.run.console import Console
from azr.run.driver import NOTE_SECONDS, Driver, begin, goal_of, take_up
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


def test_a_resume_needs_the_room_that_a_start_needs(folder: RunFolder) -> None:
    card = folder.card()
    with pytest.raises(AzrError, match=r"checkpoint\.free_gb is 1e\+06"):
        take_up(load(["tiny"], ["checkpoint.free_gb=1000000"]), folder)
    assert folder.card() == card


def test_a_run_whose_model_is_not_there_is_not_begun_and_leaves_its_name_free(tmp_path: Path) -> None:
    """Its `model.path` could be changed by no resume, and its name be taken by no other run."""
    words = [f"run.folder={tmp_path}", "run.name=one"]
    with pytest.raises(AzrError, match="mistyped cannot be loaded") as refused:
        begin(load(["tiny"], [*words, f"model.path={tmp_path / 'mistyped'}"]))
    assert "model.path" in refused.value.mend
    assert not (tmp_path / "one").exists()
    assert begin(load(["tiny"], words)).exists


def test_a_run_whose_seeds_cannot_be_read_is_not_begun_and_leaves_nothing(tmp_path: Path) -> None:
    words = [f"run.folder={tmp_path}", "run.name=one", f"seeding.file={tmp_path / 'mistyped.jsonl'}"]
    with pytest.raises(AzrError, match=r"mistyped\.jsonl cannot be read"):
        begin(load(["tiny"], words))
    assert not (tmp_path / "one").exists()


def test_nor_is_it_taken_up_until_it_has_seeds_of_its_own(folder: RunFolder) -> None:
    card, config = folder.card(), load(["tiny"], ["seeding.file=mistyped.jsonl"])
    with pytest.raises(AzrError, match=r"mistyped\.jsonl cannot be read"):
        take_up(config, folder)
    assert folder.card() == card
    folder.seeds.write_text("their tasks are in the buffers: nobody will read them\n")
    take_up(config, folder)
    assert folder.card().starts == 2


def test_a_run_whose_ray_the_environment_names_is_neither_begun_nor_taken_up(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    card = folder.card()
    with pytest.raises(AzrError, match="RAY_ADDRESS"):
        take_up(load(["tiny"]), folder)
    assert folder.card() == card
    with pytest.raises(AzrError, match="RAY_ADDRESS"):
        begin(load(["tiny"], [f"run.folder={tmp_path}", "run.name=another"]))
    assert not (tmp_path / "another").exists()


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

    def test_a_killed_driver_told_a_step_after_its_last_note(self, folder: RunFolder) -> None:
        card = msgspec.structs.replace(folder.card(), elapsed_seconds=100.0, ended="finished", not_evaluated="late")
        folder.write(card)
        folder.metrics.write_text('{"step":7,"time/elapsed":101.5}\n{"step":8,"eval/tasks":4}\n{"step":9,"time/ela')
        take_up(load(["tiny"]), folder)
        card = folder.card()
        assert (card.elapsed_seconds, card.starts, card.ended, card.not_evaluated) == (101.5, 2, "", "")
