"""Silence is forgiven while an actor may still come back, and then it ends the run by name."""

from __future__ import annotations

import pytest

from azr.run.supervision import PartLostError, Patience, Silent, Supervision


def of(seconds: float) -> Supervision:
    return Supervision(Patience(seconds, "actors.restart_seconds"), {"engines": Patience(600, "rollout.start_seconds")})


def test_who_answers_is_not_silent() -> None:
    assert of(10).round(["a", "b"], ["a", "b"], 0.0) == []


def test_silence_counts_from_the_last_answer() -> None:
    watch = of(100)
    watch.round(["a", "b"], ["a", "b"], 10.0)
    assert watch.round(["b"], ["a", "b"], 12.0) == [Silent("a", 2.0)]
    assert watch.round([], ["a", "b"], 13.0) == [Silent("a", 3.0), Silent("b", 1.0)]


def test_who_comes_back_is_counted_and_forgiven() -> None:
    watch = of(100)
    watch.round(["a"], ["a"], 0.0)
    watch.round([], ["a"], 50.0)
    assert watch.round(["a"], ["a"], 60.0) == []
    assert watch.returns == {"a": 1}
    assert watch.round([], ["a"], 140.0) == [Silent("a", 80.0)]


def test_who_never_answered_is_silent_since_it_was_first_asked() -> None:
    watch = of(100)
    assert watch.round([], ["a"], 5.0) == [Silent("a", 0.0)]
    assert watch.round([], ["a"], 15.0) == [Silent("a", 10.0)]


def test_who_is_asked_no_more_is_not_waited_for() -> None:
    """Players are ended before the evaluation after training; one may have been silent just then."""
    supervision = Supervision(Patience(30.0, "actors.restart_seconds"))
    assert supervision.news(["engines"], ["engines", "solver-0"], 0.0)
    assert supervision.news(["engines"], ["engines"], 100.0) == []
    assert supervision.round(["engines"], ["engines"], 101.0) == []
    assert supervision.news(["engines", "solver-0"], ["engines", "solver-0"], 200.0) == [], "nor said to be back"


def test_too_long_a_silence_names_whoever_is_lost() -> None:
    watch = of(30)
    watch.round(["solver-0", "hub"], ["solver-0", "hub"], 0.0)
    watch.round(["hub"], ["solver-0", "hub"], 30.0)
    with pytest.raises(PartLostError, match=r"no answer from solver-0 \(31 s\)"):
        watch.round(["hub"], ["solver-0", "hub"], 31.0)


def test_engines_have_a_patience_of_their_own_for_what_takes_the_place_of_one_may_take_minutes() -> None:
    watch = of(120)
    watch.round(["engines", "tasks"], ["engines", "tasks"], 0.0)
    assert watch.round(["tasks"], ["engines", "tasks"], 600.0) == [Silent("engines", 600.0)]
    why = {"engines": "1 of 1 engines to serve, 0 make their engine (r1 was lost: its process ended)"}
    with pytest.raises(PartLostError, match=r"no answer from engines \(601 s: 1 of 1 .*its process ended\)\)") as lost:
        watch.round(["tasks"], ["engines", "tasks"], 601.0, why)
    assert "raise rollout.start_seconds" in lost.value.mend


def test_the_patience_with_others_is_not_lengthened_by_it() -> None:
    watch = of(120)
    watch.round(["engines", "tasks"], ["engines", "tasks"], 0.0)
    with pytest.raises(PartLostError, match=r"no answer from tasks \(121 s\)") as lost:
        watch.round(["engines"], ["engines", "tasks"], 121.0)
    assert "raise actors.restart_seconds" in lost.value.mend


def test_a_silence_is_said_at_once_after_a_minute_and_at_each_doubling_with_what_is_known_of_it() -> None:
    watch, said = of(120), dict[int, list[str]]()
    watch.news(["engines"], ["engines"], 0.0)
    for second in range(10, 600):
        if lines := watch.news([], ["engines"], float(second), {"engines": f"{second} are missing"}):
            said[second] = lines
    at_most = "waiting for it to come back, 600 s at most (rollout.start_seconds)"
    assert said == {
        10: [f"engines does not answer; {at_most}; 10 are missing"],
        60: [f"engines does not answer for 60 s; {at_most}; 60 are missing"],
        120: [f"engines does not answer for 120 s; {at_most}; 120 are missing"],
        240: [f"engines does not answer for 240 s; {at_most}; 240 are missing"],
        480: [f"engines does not answer for 480 s; {at_most}; 480 are missing"],
    }


def test_who_answers_again_is_said_once_and_a_second_silence_is_said_anew() -> None:
    watch = of(120)
    rounds = [["a"], [], [], ["a"], ["a"], []]
    said = [watch.news(answered, ["a"], 10.0 * number) for number, answered in enumerate(rounds)]
    silent = "a does not answer; waiting for it to come back, 120 s at most (actors.restart_seconds)"
    assert said == [[], [silent], [], ["a answers again"], [], [silent]]
