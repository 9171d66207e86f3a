"""What the asynchrony benchmark works out of its runs, by hand on runs written by hand."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from azr.bench import Report
from azr.errors import AzrError, UsageError
from benchmarks.asynchrony import (
    SET_UPS,
    chosen,
    idle_gap,
    implied_idle,
    judge,
    judge_best,
    phases,
    seconds_of,
    standstills,
    taken,
    tell,
    waits,
)
from benchmarks.cores import Look
from benchmarks.run_folder import Outcome, looks_path
from tests.benchmarks.written_runs import read, write_run


def test_time_counts_from_the_end_of_the_warm_up(tmp_path: Path) -> None:
    found = read(write_run(tmp_path / "default-0"))
    assert seconds_of(found, skip=5) == pytest.approx(15.0)
    assert phases(found) == (2.0, 1.0)


def test_who_is_faster_idles_as_the_rates_imply(tmp_path: Path) -> None:
    """Generating takes 2 s and learning 1 s a step: at once, the learner idles half the time and the engine never."""
    assert implied_idle(2.0, 1.0) == {"learning": 0.5, "playing": 0.0}
    assert implied_idle(1.0, 4.0) == {"learning": 0.0, "playing": 0.75}
    found = watched_run(tmp_path / "eta4-30-0", playing=1.0, learning=0.9)
    assert idle_gap(found, 2.0, 1.0) == pytest.approx(0.4), "the learner's core idles for a tenth"


def test_a_side_waits_while_its_own_core_has_nothing_to_do(tmp_path: Path) -> None:
    """An engine that idles while the players have the core waits for its own side, not for the learner."""
    found = watched_run(tmp_path / "eta4-30-0", playing=0.97, learning=0.25)
    for line in found.lines:
        line["perf/rollout_idle"] = 0.4
    assert waits(found) == {"learning": pytest.approx(0.75), "playing": pytest.approx(0.03)}
    busier = watched_run(tmp_path / "eta4-30-1", playing=1.02, learning=0.0)
    assert waits(busier) == {"learning": 1.0, "playing": 0.0}, "a look's rounding is no time gained"


def watched_run(folder: Path, *, playing: float, learning: float, stretch: float = 1.0) -> Outcome:
    """A written run whose sides take so many seconds of processor time each second; its own clock stretched."""
    found = read(write_run(folder))
    looks = [Look(at, playing * at, learning * at) for at in (0.0, 1000.0)]
    looks_path(folder).write_bytes(b"\n".join(map(msgspec.json.encode, looks)) + b"\n")
    return found._replace(lines=[{**line, "at": (line["at"] or 0.0) * stretch} for line in found.lines])


def test_processor_time_is_that_after_the_warm_up(tmp_path: Path) -> None:
    """Fifteen seconds, in which the sides were at work for 0.8 and 0.4 of the time."""
    cost = taken(watched_run(tmp_path / "eta4-30-0", playing=0.8, learning=0.4))
    assert (cost.wall, cost.playing, cost.learning) == (15.0, pytest.approx(12.0), pytest.approx(6.0))
    with pytest.raises(AzrError, match="nobody watched"):
        taken(read(write_run(tmp_path / "unwatched")))


def test_a_run_of_warm_up_alone_has_no_time(tmp_path: Path) -> None:
    with pytest.raises(AzrError, match="10 steps, and 10 are warm-up"):
        seconds_of(read(write_run(tmp_path / "eta4-10-0")), skip=10)


def test_set_ups_are_chosen_by_name() -> None:
    assert [one.name for one in chosen("eta0,eta4-both")] == ["eta0", "eta4-both"]
    with pytest.raises(UsageError, match="did you mean 'eta4'"):
        chosen("eta")


def test_standing_still_for_new_weights_is_held_against_its_bound_where_it_was_told(tmp_path: Path) -> None:
    """Of ten steps five are warm-up; two engines, of which one told nothing in one step: nine gaps, one of 0.3 s."""
    found = watched_run(tmp_path / "eta4-0", playing=1.0, learning=0.5)
    assert standstills(found) == []
    for number, line in enumerate(found.lines):
        line.update({"sync/gap/a.max": 9.0 if number < 5 else 0.1, "sync/gap/a.p50": 0.05, "sync/pause/a.max": 0.4})
        line["sync/gap/b.max"] = 0.3 if number == 5 else None if number == 6 else 0.1
    assert sorted(standstills(found)) == [0.1] * 8 + [0.3]
    report = Report("asynchrony", "azr bench asynchrony")
    for line in found.lines:
        line.update({"perf/rollout_idle": 0.02, "ledger/trained_share": 0.97})
    for name in ("eta4", "eta0"):
        tell(report, name, [found])
    judge(report, [found], [found])
    [told] = [one for one in report.result().measures if one.name == "eta4: standing still for new weights"]
    assert (told.median, told.low, told.high) == (0.1, 0.1, 0.3)
    met = {goal.name: (goal.met, goal.wanted) for goal in report.result().goals if goal.name.startswith("old weights")}
    assert met == {
        "old weights' last token to new ones' first, p50": (True, "<= 0.25 s"),
        "old weights' last token to new ones' first, p99": (False, "<= 0.25 s"),
    }


def test_numbers_and_goals_by_hand(tmp_path: Path) -> None:
    """One core each: η=0 takes twice as long as η=4, and its phases (2 s and 1 s a step) allow 1.5 times.

    On both cores η=0 takes 1.2 times as long as the better η=4, and keeps 1.5 of two cores at work.
    """
    stretches = {"eta4": 1.0, "eta0": 2.0, "eta4-both": 1.25, "eta0-both": 1.2}
    found = {
        name: [
            watched_run(tmp_path / f"{name}-{seed}", playing=1.0, learning=0.5, stretch=stretch) for seed in range(2)
        ]
        for name, stretch in stretches.items()
    }
    for outcomes in found.values():
        for one in outcomes:
            for line in one.lines:
                line.update({"perf/rollout_idle": 0.02, "ledger/trained_share": 0.97})
    report = Report("asynchrony", "azr bench asynchrony")
    for name, outcomes in found.items():
        tell(report, name, outcomes)
    judge(report, found["eta4"], found["eta0"])
    judge_best(report, found)
    result = report.result()
    goals = {goal.name: (goal.met, goal.value) for goal in result.goals}
    assert goals == {
        "share of tokens trained on": (True, 0.97),
        "the bottleneck side waits": (True, pytest.approx(0.0)),
        "the other side idles as the rates imply, within": (True, pytest.approx(0.0)),
        "share of the bound reached": (True, pytest.approx(2.0 / 1.5)),
        "over the better of two η=0 set-ups": (True, pytest.approx(1.2)),
    }
    measures = {measure.name: measure.median for measure in result.measures}
    assert measures["eta4: cores at work"] == pytest.approx(1.5)
    assert measures["eta4: processor time a step, playing"] == pytest.approx(15.0 / 5)
    assert measures["bound of the machine"] == pytest.approx(2 / 1.5)
    [note] = result.notes
    assert note.startswith("the better set-ups are eta0-both and eta4.")
    assert len(SET_UPS) == len(found)
