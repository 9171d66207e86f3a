"""What lasts is said: at first, at each doubling, and when it is over; log-probs that stay broken end the run."""

from __future__ import annotations

import pytest

from azr.run.alarms import BROKEN_STEPS, Alarms, LogprobsBrokenError, Spell

#: A step of a healthy run.
WELL = {
    "batch/broken/deduction/propose": 0.0,
    "batch/broken/deduction/solve": 0.0,
    "batch/valid/deduction": 0.25,
    "batch/malformed/deduction": 0.1,
}
#: One of a model that writes only garbage.
GARBAGE = {
    "batch/broken/deduction/propose": 0.0,
    "batch/valid/deduction": 0.0,
    "batch/valid/abduction": 0.0,
    "batch/malformed/deduction": 1.0,
    "batch/malformed/abduction": 0.9,
    "solve/truncated/deduction/propose": 0.0,
    "solve/truncated/deduction/solve": 0.25,
    "proposal/refused/no_program": 30.0,
    "proposal/refused/\x1b[31m": 2.0,
    "learner/empty_step": 1.0,
}


def said(alarms: Alarms, values: dict[str, float], steps: range) -> dict[int, list[str]]:
    """Lines by step, steps without any left out."""
    told = {step: alarms.step(step, values) for step in steps}
    return {step: lines for step, lines in told.items() if lines}


def test_a_spell_is_said_at_first_and_at_each_doubling() -> None:
    spell = Spell(5)
    assert [number for number in range(1, 50) if spell.lasts(True)] == [5, 10, 20, 40]


def test_a_spell_that_was_never_said_ends_unsaid_and_one_that_was_ends_once() -> None:
    spell = Spell(2)
    spell.lasts(True)
    assert not spell.ends(False)
    spell.lasts(False)
    assert [spell.lasts(True) for _ in range(2)] == [False, True]
    assert not spell.ends(True)
    assert [spell.ends(False), spell.ends(False)] == [True, False]
    spell.lasts(False)
    assert [spell.lasts(True) for _ in range(2)] == [False, True], "the next one is said as soon as the first was"


def test_a_run_that_is_well_says_nothing() -> None:
    assert said(Alarms(), WELL, range(1, 100)) == {}


def test_a_model_of_garbage_is_said_with_the_reasons_and_the_run_goes_on() -> None:
    told = said(Alarms(), GARBAGE, range(1, 41))
    assert list(told) == [5, 10, 20, 40]
    proposals, gradients = told[5]
    assert proposals == (
        "step 5: no proposal was let in for 5 steps (refused: no_program 30, \\x1b[31m 2); of the answers 95%"
        " cannot be read, 25% are cut off at the length limit; the run goes on with the tasks there are"
    )
    assert gradients.startswith("step 5: nothing was trained on for 5 steps: ")


def test_a_watch_that_quarantines_everything_is_named_for_steps_without_a_gradient() -> None:
    """A pattern of somebody's own that matches too much; what was sampled did not fare alike."""
    empty = {**WELL, "learner/empty_step": 1.0, "batch/sequences/deduction/solve": 16.0}
    for flagged, why in ((12.0, "the safety watch kept 12 responses of this one"), (1.0, "all that was sampled")):
        [told] = said(Alarms(), {**empty, "safety/quarantined/deduction/solve": flagged}, range(1, 6))[5]
        assert told.startswith(f"step 5: nothing was trained on for 5 steps: {why}")


def test_its_recovery_is_said() -> None:
    alarms = Alarms()
    said(alarms, GARBAGE, range(1, 7))
    assert alarms.step(7, WELL) == ["step 7: proposals are let in again", "step 7: samples carry gradients again"]
    assert alarms.step(8, WELL) == []


def test_a_batch_without_proposals_says_nothing_of_them() -> None:
    alarms = Alarms()
    said(alarms, GARBAGE, range(1, 5))
    assert said(alarms, {}, range(5, 20)) == {}
    assert list(said(alarms, GARBAGE, range(20, 22))) == [20]


def test_some_broken_logprobs_are_said_by_cell_and_so_is_their_end() -> None:
    alarms = Alarms()
    some = {**WELL, "batch/broken/deduction/solve": 0.5}
    told = said(alarms, some, range(1, 10))
    assert list(told) == [1, 2, 4, 8]
    assert told[1] == [
        "step 1: engines returned log-probs that are no log-probs, and those samples are dropped: deduction/solve 50%"
    ]
    assert alarms.step(10, WELL) == ["step 10: the engines' log-probs are sound again"]


def test_logprobs_that_are_all_broken_and_stay_so_end_the_run() -> None:
    alarms = Alarms()
    all_broken = {name: 1.0 for name in WELL if name.startswith("batch/broken/")}
    for step in range(1, BROKEN_STEPS):
        alarms.step(step, all_broken)
    with pytest.raises(LogprobsBrokenError, match="in 3 steps in a row no sample had sound ones") as ended:
        alarms.step(BROKEN_STEPS, all_broken)
    assert "algorithm.optimiser.lr" in ended.value.mend


def test_a_sound_step_in_between_begins_the_count_anew() -> None:
    alarms = Alarms()
    all_broken = {"batch/broken/deduction/solve": 1.0}
    for _ in range(3):
        for step in range(1, BROKEN_STEPS):
            alarms.step(step, all_broken)
        alarms.step(BROKEN_STEPS, WELL)


def test_a_wait_is_said_after_a_minute_and_at_each_doubling_with_what_players_met() -> None:
    alarms = Alarms()
    counted = {
        "player/done/solve": 2.0,
        "player/done/propose": 1.0,
        "player/failures/retry": 12.0,
        "sandbox/workers_replaced": 7.0,
    }
    asked: list[int] = []

    def count() -> dict[str, float]:
        asked.append(1)
        return counted

    told = {second: line for second in range(500) if (line := alarms.waiting(second, count))}
    assert list(told) == [60, 120, 240, 480]
    assert told[60] == (
        "no step for 60 s. Players finished 3 pieces of work; what failed: retry 12;"
        " 7 sandbox workers had to be replaced"
    )
    assert len(asked) == 4, "nothing is counted when there is nothing to say"


def test_a_step_begins_the_wait_anew() -> None:
    alarms = Alarms()
    assert alarms.waiting(70.0, dict)
    assert alarms.waiting(100.0, dict) == ""
    alarms.step(1, WELL)
    assert alarms.waiting(61.0, dict) == "no step for 61 s. Players finished 0 pieces of work"
