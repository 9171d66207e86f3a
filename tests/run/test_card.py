"""What a driver keeps of its run, beside what the run's parts tell."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from azr.config import load, write_resolved
from azr.run.card import KeptCard, keep_replaced, without_place, write_report
from azr.run.folder import Card, RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder.of(str(tmp_path), "one")
    folder.create(Card(name="one", started=0.0, starts=3, elapsed_seconds=100.0))
    return folder


def test_each_that_tells_the_card_something_leaves_what_others_told(folder: RunFolder) -> None:
    card = KeptCard(folder)
    assert card.before == 100.0
    card.keep_mlflow_id("abc")
    card.note_time(130.0)
    card.note_unevaluated("engines are gone")
    card.end("finished", "its steps are done", 140.0)
    assert card.before == 100.0, "by drivers before this one"
    assert folder.card() == card.latest
    assert (card.latest.mlflow, card.latest.elapsed_seconds) == ("abc", 140.0)
    assert (card.latest.ended, card.latest.not_evaluated) == ("finished", "engines are gone")


def test_of_a_run_that_failed_the_card_says_why(folder: RunFolder) -> None:
    KeptCard(folder).end("failed", "the sandbox runs no program", 140.0)
    assert folder.card().ended == "failed: the sandbox runs no program"


def test_a_disk_that_takes_no_card_ends_nothing(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_folder: RunFolder, _card: Card) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    card = KeptCard(folder)
    monkeypatch.setattr(RunFolder, "write", full)
    card.note_time(130.0)
    card.end("finished", "its steps are done", 140.0)
    assert card.latest.ended == "finished"


def test_the_configuration_of_the_driver_before_is_kept_where_this_ones_differs(folder: RunFolder) -> None:
    config = load(["tiny"], ["run.name=one"])
    assert keep_replaced(folder, config, 2) is None, "there is none yet"
    write_resolved(config, folder.root)
    before = folder.config.read_text()
    assert keep_replaced(folder, config, 2) is None, "it is the same"
    config.run.folder, config.run.name = "/moved/to", "renamed"
    assert keep_replaced(folder, config, 2) is None, "nor is it another for where the run is"
    config.run.minutes = 77.0
    kept = keep_replaced(folder, config, 2)
    assert kept == folder.root / "config-2.yaml"
    assert kept.read_text() == before


def test_where_a_run_is_says_nothing_of_what_is_asked_for() -> None:
    assert without_place("run: {folder: runs, name: one, steps: 7}") == {"run.steps": "7"}


def test_a_report_that_cannot_be_drawn_is_said(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_root: Path) -> None:
        raise ValueError("no font")

    said: list[str] = []
    write_report(folder, said.append)
    assert said == [], "nothing was trained, so that there is nothing to draw"
    folder.metrics.write_text("")
    monkeypatch.setattr("azr.run.card.read_history", broken)
    write_report(folder, said.append)
    assert said == ["no report was written: no font; azr report tries again"]
