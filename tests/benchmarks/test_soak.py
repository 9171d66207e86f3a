"""What a soak makes of what it saw, by outcomes written by hand. The soak itself: `tests/run/test_soak.py`."""

from __future__ import annotations

import pytest

from azr.bench import Report
from benchmarks.audit import Audit
from benchmarks.growth import Memory
from benchmarks.soak import FATAL, KINDS, WRITERS, Kill, Outcome, disagreements, tell
from benchmarks.victims import DRIVER, TITLES
from benchmarks.whole_run import Step


def step(number: int, sequences: float = 0.0, seconds: float = 1.0) -> Step:
    values = {"time/step": seconds, "batch/sequences/deduction/solve": sequences - 1, "batch/sequences/x/propose": 1}
    return Step(number, 100.0 + number, values)


def kill(kind: str, after: int, told: list[int], recovered: float | None = 4.0) -> Kill:
    return Kill(kind, 7, 100.0, after, 1, back=2.0, recovered=recovered, steps=told)


def test_every_kind_of_process_is_killed_and_the_driver_like_the_others() -> None:
    assert set(KINDS) == {*TITLES, DRIVER}
    assert KINDS.count("engine") == KINDS.count(DRIVER) == 2
    assert set(FATAL) < set(WRITERS) <= set(KINDS)


def audited() -> Audit:
    audit = Audit()
    audit.sizes = {0: [16], 1: [16, 24]}
    return audit


class TestDisagreements:
    def test_a_step_told_as_the_books_gave_it_out_is_none(self) -> None:
        """Step n is made of the batch for step n - 1; one that was undone was told as well."""
        assert disagreements([step(1, 16), step(2, 16), step(2, 24)], audited()) == []

    def test_another_size_and_an_unknown_step_are(self) -> None:
        assert disagreements([step(1, 17), step(3, 16)], audited()) == [
            "step 1 told 17 sequences, the books [16]",
            "step 3 told 16 sequences, the books None",
        ]

    def test_a_step_whose_batch_was_not_told_says_nothing(self) -> None:
        assert disagreements([Step(9, 1.0, {"time/step": 1.0})], audited()) == []


def test_recovery_is_told_by_kind_and_engines_are_held_to_their_bound() -> None:
    memory = Memory()
    memory.by_kind["driver"] = [100.0] * 40
    steps = [step(number) for number in range(1, 41)]
    kills = [kill("engine", 3, [4, 5], 9.0), kill("engine", 8, [9, 10], 50.0), kill(DRIVER, 14, [11, 12])]
    report = Report("soak", "azr bench soak")
    tell(report, Outcome(kills, steps, memory, [], [], [], 0))
    result = report.result()
    measured = {measure.name: measure.rounds for measure in result.measures}
    assert measured["engine killed: two steps later"] == (9.0, 50.0)
    assert measured["engine killed: there again"] == (2.0, 2.0)
    assert measured["steps done again by the next driver"] == (4,)
    met = {goal.name: goal.met for goal in result.goals}
    assert met == {
        "N11: an engine's recovery, longest": False,
        "N13: step, growth": True,
        "N13: memory, driver, growth": True,
    }


def test_a_kill_that_nothing_followed_has_no_recovery() -> None:
    report = Report("soak", "azr bench soak")
    tell(report, Outcome([kill("hub", 3, [], None)], [step(n) for n in range(1, 41)], Memory(), [], [], [], 0))
    assert "hub killed: two steps later" not in {measure.name for measure in report.result().measures}
    assert [goal.value for goal in report.result().goals] == [pytest.approx(0.0)]
