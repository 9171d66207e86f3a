"""A report becomes a result that says everything needed to judge and to repeat it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from azr.bench import Report, Result, machine, read_result
from azr.bench.result import SCHEMA_VERSION, Measure
from azr.bench.runner import write_result
from azr.bench.table import number, rendered
from azr.errors import AzrError


@pytest.fixture
def report() -> Report:
    """Two contenders measured side by side."""
    made = Report("demo", "azr bench demo --rounds 3")
    made.settings["rounds"] = 3
    made.measure("fast", "µs", [1.0, 2.0, 3.0], better="lower")
    made.measure("slow", "µs", [10.0, 30.0, 20.0], better="lower")
    return made


def test_a_measure_keeps_every_round_with_median_and_extremes(report: Report) -> None:
    [fast, _] = report.result().measures
    assert (fast.median, fast.low, fast.high, fast.rounds) == (2.0, 1.0, 3.0, (1.0, 2.0, 3.0))


def test_a_ratio_is_worked_out_within_each_round(report: Report) -> None:
    ratio = report.ratio("slow over fast", "slow", "fast")
    assert ratio.rounds == (10.0, 15.0, 20.0 / 3.0)
    assert ratio.median == 10.0, "the ratio of the medians is 10 as well, but not by the same rounds"
    assert (ratio.low, ratio.high) == (20.0 / 3.0, 15.0)


def test_measures_that_did_not_take_turns_have_no_ratio(report: Report) -> None:
    report.measure("once", "µs", [1.0])
    with pytest.raises(ValueError, match="not side by side"):
        report.ratio("?", "once", "fast")


def test_a_measure_is_told_once_and_has_rounds(report: Report) -> None:
    with pytest.raises(ValueError, match="measured already"):
        report.measure("fast", "µs", [1.0])
    with pytest.raises(ValueError, match="no rounds"):
        Measure.of("empty", "µs", [], "lower")


@pytest.mark.parametrize(
    ("bounds", "wanted", "met"),
    [
        ({"at_least": 5.0}, ">= 5 x", True),
        ({"at_least": 5.1}, ">= 5.1 x", False),
        ({"at_most": 5.0}, "<= 5 x", True),
        ({"at_least": 1.0, "at_most": 4.0}, ">= 1 and <= 4 x", False),
    ],
)
def test_a_goal_is_held_against_its_bounds(report: Report, bounds: dict[str, float], wanted: str, met: bool) -> None:
    report.goal("speed", 5.0, unit="x", **bounds)
    [goal] = report.result().goals
    assert (goal.wanted, goal.met) == (wanted, met)


def test_a_goal_without_a_bound_is_no_goal(report: Report) -> None:
    with pytest.raises(ValueError, match="no bound"):
        report.goal("speed", 5.0)


def test_a_missed_goal_leaves_a_result_sound_and_a_failed_check_does_not(report: Report) -> None:
    report.goal("speed", 5.0, at_least=6.0)
    assert report.result().sound
    report.check("answers agree", False, "3 differ")
    assert not report.result().sound


def test_a_result_tells_its_surroundings(report: Report) -> None:
    result = report.result()
    assert result.machine.cores >= 1
    assert result.machine.cpu
    assert {"python", "azr", "msgspec"} <= set(result.versions)
    assert len(result.commit) == 40
    assert result.date.endswith("+00:00")
    assert result.load_before >= 0.0


def test_a_result_is_of_the_commit_at_which_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours may pass, and the checkout go on: what ran was the code of the beginning."""
    at = [("a" * 40, False)]
    monkeypatch.setattr(machine, "commit", lambda: at[-1])
    report = Report("demo", "azr bench demo")
    assert (report.result().commit, report.result().notes) == ("a" * 40, ())
    at.append(("b" * 40, True))
    result = report.result()
    assert (result.commit, result.dirty, result.stem[-7:]) == ("a" * 40, False, "aaaaaaa")
    assert result.notes == ("the checkout changed meanwhile: aaaaaaa when it began, bbbbbbb with changes at its end",)


def test_a_result_outside_a_checkout_names_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "commit", lambda: ("", False))
    result = Report("demo", "azr bench demo").result()
    assert (result.commit, result.notes) == ("", ())
    assert result.stem.endswith("-nocommit")


def test_files_that_came_without_their_history_are_of_the_commit_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(machine.COMMIT_VARIABLE, "c" * 40)
    assert machine.commit() == ("c" * 40, False)
    assert Report("demo", "azr bench demo").result().stem.endswith("-ccccccc")


def test_a_written_result_reads_back_equal_and_has_a_plot(report: Report, tmp_path: Path) -> None:
    result = report.result()
    path = write_result(result, tmp_path)
    assert read_result(path) == result
    assert path.name.startswith(f"demo-{result.date[:10]}-{result.commit[:7]}")
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_a_second_result_of_the_same_day_overwrites_nothing(report: Report, tmp_path: Path) -> None:
    first, second = (write_result(report.result(), tmp_path) for _ in range(2))
    assert first != second
    assert second.stem == f"{first.stem}-2"


@pytest.mark.parametrize("content", [b"", b"{}", b'{"schema": 1, "benchmark": 3}', b"[1"])
def test_a_file_that_is_no_result_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "wrong.json"
    path.write_bytes(content)
    with pytest.raises(AzrError, match=r"wrong\.json is not a benchmark result"):
        read_result(path)


def test_a_result_of_another_schema_is_refused(report: Report, tmp_path: Path) -> None:
    newer: Result = msgspec.structs.replace(report.result(), schema=SCHEMA_VERSION + 1)
    (path := tmp_path / "newer.json").write_bytes(msgspec.json.encode(newer))
    with pytest.raises(AzrError, match="schema 2; this azr reads 1"):
        read_result(path)


def test_the_table_shows_measures_ratios_goals_and_checks(report: Report) -> None:
    report.ratio("slow over fast", "slow", "fast")
    report.goal("speed", 5.0, at_least=6.0, unit="x")
    report.check("answers agree", True, "all 9")
    report.note("measured [not] at night")
    console = Console(width=120, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(rendered(report.result()))
    shown = captured.get()
    for text in (
        "fast",
        "slow over fast",
        "10x",
        ">= 6 x",
        "✓ answers agree: all 9",
        "measured [not] at night",
        "commit",
    ):
        assert text in shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (0.00001, "1e-05"),
        (0.12345, "0.1235"),
        (1.5, "1.5"),
        (2.0, "2"),
        (12.345, "12.35"),
        (123.4, "123"),
        (10.0, "10"),
        (100.0, "100"),
        (1234567.8, "1,234,568"),
        (-12.5, "-12.5"),
    ],
)
def test_numbers_are_written_for_people(value: float, shown: str) -> None:
    assert number(value) == shown
