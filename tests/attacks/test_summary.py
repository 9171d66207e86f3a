"""`azr bench attacks`: what the summary says of attacks that are known, and of an outcome that is not as stated."""

from __future__ import annotations

import argparse

import pytest

from azr.bench import Report, Result
from azr.errors import UsageError
from benchmarks import attacks
from tests.attacks import corpus, judge, world
from tests.attacks.backends import target
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
        "left undecided by the attack itself, process": 0,
    }
    assert result.sound
    assert "leaks/builtin_added" in capsys.readouterr().out


def test_an_outcome_that_is_not_as_stated_makes_the_result_unsound(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = Finding("leaks/builtin_added", "process", "leaked", leaked=True, wrong="gives True, not False")
    monkeypatch.setattr(judge, "judge", lambda *_: finding)
    result = summary("--only", "leaks/builtin_added", "--backend", "process", "--brief")
    assert not result.sound
    assert {goal.name: goal.value for goal in result.goals}["leaks, process"] == 1


@pytest.mark.parametrize("outcome", ["crashed", "retry", "unreadable_input", "crashed/ok/error"])
def test_an_end_that_the_attack_itself_leaves_undecided_is_counted(
    monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    """Even where its file allowed for it: a wrong answer that nobody punishes is a cheat that pays."""
    entry = next(entry for entry in corpus.load() if entry.id == "bombs/endless_loop")
    asked: list[str] = []

    def run(*_given: object) -> tuple[str, str, str]:
        asked.append(outcome)
        return outcome, "", ""

    monkeypatch.setattr(judge, "_run", run)
    with world.planted() as planted, target("process") as sandbox:
        finding = judge.judge(entry, sandbox, "process", planted)
    assert (finding.undecided, finding.stated) == (True, False)
    assert len(asked) == (2 if outcome == "retry" else 1), "a busy machine is asked once more"
    monkeypatch.setattr(judge, "judge", lambda *_: finding)
    result = summary("--only", "bombs/endless_loop", "--backend", "process", "--brief")
    assert not result.sound
    assert {goal.name: goal.value for goal in result.goals}["left undecided by the attack itself, process"] > 0


def test_a_back_end_that_nobody_knows_is_named() -> None:
    with pytest.raises(UsageError, match="docker"):
        summary("--backend", "docker")
