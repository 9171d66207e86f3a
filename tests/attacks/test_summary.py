"""`azr bench attacks`: what the summary says of attacks that are known, and of an outcome that is not as stated."""

from __future__ import annotations

import argparse

import pytest

from azr.bench import Report, Result
from azr.errors import UsageError
from benchmarks import attacks
from tests.attacks import judge
from tests.attacks.judge import Finding


def summary(*words: str) -> Result:
    parser = argparse.ArgumentParser()
    attacks.add_arguments(parser)
    report = Report("attacks", "azr bench attacks")
    attacks.run(parser.parse_args(words), report)
    return report.result()


def test_the_summary_counts_attacks_and_holds_them_against_zero(capsys: pytest.CaptureFixture[str]) -> None:
    result = summary("--only", "leaks/builtin_", "--backend", "process")
    counts = {measure.name: measure.median for measure in result.measures}
    assert counts["leaks, attacks"] == counts["leaks, shown against bare exec"] == 2
    assert counts["leaks, ended as stated in process"] == 2
    assert {goal.name: goal.value for goal in result.goals} == {
        "shown to succeed against bare exec": 2,
        "escapes, process": 0,
        "leaks, process": 0,
        "accepted cheats, process": 0,
    }
    assert result.sound
    assert "leaks/builtin_added" in capsys.readouterr().out


def test_an_outcome_that_is_not_as_stated_makes_the_result_unsound(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = Finding("leaks/builtin_added", "process", "leaked", leaked=True, wrong="gives True, not False")
    monkeypatch.setattr(judge, "judge", lambda *_: finding)
    result = summary("--only", "leaks/builtin_added", "--backend", "process", "--brief")
    assert not result.sound
    assert {goal.name: goal.value for goal in result.goals}["leaks, process"] == 1


def test_a_back_end_that_nobody_knows_is_named() -> None:
    with pytest.raises(UsageError, match="docker"):
        summary("--backend", "docker")
