"""Silence is forgiven while an actor may still come back, and then it ends the run by name."""

from __future__ import annotations

import pytest

from azr.run.supervision import PartLostError, Silent, Supervision


def test_who_answers_is_not_silent() -> None:
    assert Supervision(10).round(["a", "b"], ["a", "b"], 0.0) == []


def test_silence_counts_from_the_last_answer() -> None:
    watch = Supervision(100)
    watch.round(["a", "b"], ["a", "b"], 10.0)
    assert watch.round(["b"], ["a", "b"], 12.0) == [Silent("a", 2.0)]
    assert watch.round([], ["a", "b"], 13.0) == [Silent("a", 3.0), Silent("b", 1.0)]


def test_who_comes_back_is_counted_and_forgiven() -> None:
    watch = Supervision(100)
    watch.round(["a"], ["a"], 0.0)
    watch.round([], ["a"], 50.0)
    assert watch.round(["a"], ["a"], 60.0) == []
    assert watch.returns == {"a": 1}
    assert watch.round([], ["a"], 140.0) == [Silent("a", 80.0)]


def test_who_never_answered_is_silent_since_it_was_first_asked() -> None:
    watch = Supervision(100)
    assert watch.round([], ["a"], 5.0) == [Silent("a", 0.0)]
    assert watch.round([], ["a"], 15.0) == [Silent("a", 10.0)]


def test_too_long_a_silence_names_whoever_is_lost() -> None:
    watch = Supervision(30)
    watch.round(["solver-0", "hub"], ["solver-0", "hub"], 0.0)
    watch.round(["hub"], ["solver-0", "hub"], 30.0)
    with pytest.raises(PartLostError, match=r"no answer from solver-0 \(31 s\)"):
        watch.round(["hub"], ["solver-0", "hub"], 31.0)
