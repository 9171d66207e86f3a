"""What is compared: the median of the first third with that of the last, a warm-up left out."""

from __future__ import annotations

import psutil
import pytest

from azr.bench import Report
from azr.errors import AzrError
from benchmarks.growth import THE_REST, Memory, growth, tell, thirds
from benchmarks.processes import Seen
from benchmarks.whole_run import Step


def step(number: int, seconds: float, waited: float) -> Step:
    return Step(number, 100.0 + number, {"time/step": seconds, "time/wait_for_batch": waited})


def test_the_warm_up_is_left_out_and_one_slow_step_moves_nothing() -> None:
    values = [9.0] + [1.0, 1.0, 7.0] + [5.0] * 3 + [2.0, 2.0, 8.0]
    assert thirds(values) == (1.0, 2.0)
    assert growth(values) == pytest.approx(1.0)


def test_what_stays_the_same_does_not_grow_and_what_falls_grows_by_less_than_nothing() -> None:
    assert growth([3.0] * 10) == 0.0
    assert growth([4.0] * 5 + [1.0] * 5) == pytest.approx(-0.75)


def test_too_few_values_are_refused() -> None:
    with pytest.raises(AzrError, match="2 values have no thirds"):
        thirds([1.0, 2.0])


def test_memory_is_of_a_kind_together_or_apiece() -> None:
    me = psutil.Process()
    found = [Seen("engine", me, 100), Seen("engine", me, 300), Seen("", me, 5), Seen("gcs", me, 7)]
    together, apiece = Memory(), Memory()
    for _ in range(2):
        together.note(found)
        apiece.note(found, apiece=True)
    assert together.by_kind == {"engine": [400.0, 400.0], THE_REST: [12.0, 12.0]}
    assert apiece.by_kind == {"engine": [200.0, 200.0], THE_REST: [6.0, 6.0]}


def test_waiting_is_told_apart_from_work() -> None:
    """Work stays at 1 s while engines get slower: the step grows, what the learner does itself does not."""
    steps = [step(number, 1.0 + 0.1 * number, 0.1 * number) for number in range(1, 31)]
    report = Report("growth", "azr bench growth")
    tell(report, steps, {"driver": [100.0 * 2**20] * 30, "seldom": [1.0] * 3})
    met = {goal.name: goal.met for goal in report.result().goals}
    assert met == {
        "step, growth": False,
        "step without waiting, growth": True,
        "memory, driver, growth": True,
    }
    assert report.result().sound


def test_a_step_that_was_not_told_makes_the_result_unsound() -> None:
    report = Report("growth", "azr bench growth")
    tell(report, [step(number, 1.0, 0.0) for number in range(1, 31) if number != 7], {})
    assert not report.result().sound
