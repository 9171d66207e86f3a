"""What earlier drivers told, read back: of the path that led to the step from which a run goes on, and no more."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from azr.run.tracking.earlier import Report, told_until
from azr.run.tracking.json_lines import JsonLines


class Told:
    """The lines of several drivers; the moment of each is its number."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "metrics.jsonl"
        self.lines = JsonLines(self.path, print)
        self.count = 0

    def steps(self, first: int, last: int) -> None:
        """A driver tells these steps."""
        for step in range(first, last + 1):
            self._tell(step, {"time/elapsed": 1.0, "loss/policy": 0.5})

    def evaluation(self, step: int) -> None:
        self._tell(step, {"time/evaluation": 9.0, "eval/accuracy/common/deduction/solve/greedy": 0.5})

    def _tell(self, step: int, values: dict[str, float]) -> None:
        self.count += 1
        self.lines.metrics(step, values, float(self.count))

    def until(self, step: int, newest: int = 1024) -> list[tuple[int, int]]:
        """Step and number of each line that is asked for."""
        return [(one.step, round(one.at)) for one in self.reports(step, newest)]

    def reports(self, step: int, newest: int = 1024) -> list[Report]:
        return list(told_until(self.path, self.lines.size, step, newest))


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path)


def test_a_report_comes_back_as_it_was_told(told: Told) -> None:
    told.lines.metrics(7, {"time/elapsed": 2.5, "loss/policy": math.nan}, 1234.567)
    [report] = told.reports(7)
    assert (report.step, report.at, report.mark, report.moment) == (7, 1234.567, "time/elapsed", (7, 1_234_567))
    assert report.values["time/elapsed"] == 2.5
    assert math.isnan(report.values["loss/policy"]), "told as no number, and not left out"


def test_steps_after_the_one_from_which_the_run_goes_on_are_done_again_and_not_asked_for(told: Told) -> None:
    told.steps(1, 5)
    assert told.until(3) == [(1, 1), (2, 2), (3, 3)]
    assert told.until(0) == []


def test_of_a_step_that_two_drivers_did_the_later_one_counts_and_so_does_all_that_followed_it(told: Told) -> None:
    told.steps(1, 5)
    told.steps(3, 4)
    assert told.until(9) == [(1, 1), (2, 2), (3, 6), (4, 7)], "5 was made from a 4 that no longer exists"
    assert told.until(3) == [(1, 1), (2, 2), (3, 6)]


def test_however_often_the_run_was_taken_up_only_the_last_path_is_left(told: Told) -> None:
    told.steps(1, 3)
    told.steps(2, 4)
    told.steps(3, 6)
    told.steps(6, 6)
    assert told.until(6) == [(1, 1), (2, 4), (3, 7), (4, 8), (5, 9), (6, 11)]


def test_evaluations_stand_beside_their_steps(told: Told) -> None:
    told.evaluation(0)
    told.steps(1, 2)
    told.evaluation(2)
    assert told.until(2) == [(0, 1), (1, 2), (2, 3), (2, 4)]
    assert [one.mark for one in told.reports(2)] == [
        "time/evaluation",
        "time/elapsed",
        "time/elapsed",
        "time/evaluation",
    ]
    told.steps(2, 2)
    assert told.until(2) == [(0, 1), (1, 2), (2, 5)], "the weights that were evaluated are gone"


def test_one_that_came_late_does_not_hide_that_a_step_was_done_again(told: Told) -> None:
    told.steps(1, 2)
    told.evaluation(0)
    told.steps(2, 2)
    assert told.until(2) == [(1, 1), (0, 3), (2, 4)]


def test_the_newest_are_given_and_no_more_than_asked_for(told: Told) -> None:
    told.steps(1, 9)
    assert told.until(8, newest=3) == [(6, 6), (7, 7), (8, 8)]
    told.steps(8, 8)
    assert told.until(8, newest=3) == [(6, 6), (7, 7), (8, 10)]


def test_what_is_written_meanwhile_is_no_part_of_it(told: Told) -> None:
    told.steps(1, 2)
    size = told.lines.size
    told.evaluation(0)
    told.steps(3, 3)
    assert [one.step for one in told_until(told.path, size, 9, 1024)] == [1, 2]


def test_half_a_line_is_passed_over(told: Told) -> None:
    told.steps(1, 1)
    with told.path.open("ab") as file:
        file.write(b'{"step":2,"at":2.0,"time/ela')
    assert told.until(9) == [(1, 1)]
    told.steps(2, 2)
    assert told.until(9) == [(1, 1), (2, 2)]


@pytest.mark.parametrize(
    "damaged",
    [b'{"step":2,"time/elapsed":1,"\xff":1}', b'{"step":2,"time/elapsed":1,"loss":"x"}', b'{"more":' + b"[" * 200_000],
    ids=["no UTF-8 behind its head", "of another form behind its head", "nested without end"],
)
def test_so_is_one_that_was_damaged(damaged: bytes, told: Told) -> None:
    told.steps(1, 1)
    with told.path.open("ab") as file:
        file.write(damaged + b"\n")
    told.evaluation(2)
    assert told.until(9) == [(1, 1), (2, 2)]


def test_what_has_no_mark_is_known_by_nothing() -> None:
    assert Report(1, {"loss/policy": 0.5}, 1.0).mark == ""
