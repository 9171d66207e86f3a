"""Contenders take turns, fairly, and only rounds after the warm-up count."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable

import pytest

from azr.bench import cpu_seconds, interleave


def _recording(names: str, log: list[str]) -> dict[str, Callable[[], int]]:
    def turn(name: str) -> Callable[[], int]:
        def run() -> int:
            log.append(name)
            return len(log)

        return run

    return {name: turn(name) for name in names}


def test_contenders_take_turns_and_the_order_turns_too() -> None:
    log: list[str] = []
    interleave(_recording("abc", log), rounds=3, warm_up=0)
    assert "".join(log) == "abcbcacab"


def test_the_warm_up_is_run_and_thrown_away() -> None:
    log: list[str] = []
    measured = interleave(_recording("ab", log), rounds=2, warm_up=1)
    assert len(log) == 6
    assert sorted(itertools.chain.from_iterable(measured.values())) == [3, 4, 5, 6]


def test_each_contender_is_measured_once_a_round() -> None:
    measured = interleave(_recording("abcd", []), rounds=5)
    assert {name: len(values) for name, values in measured.items()} == dict.fromkeys("abcd", 5)


def test_no_rounds_measure_nothing() -> None:
    with pytest.raises(ValueError, match="at least one"):
        interleave({"a": lambda: 1}, rounds=0)


def test_progress_names_who_is_measured_in_which_round() -> None:
    told: list[str] = []
    interleave({"a": lambda: 1}, rounds=2, progress=told.append)
    assert told == ["warming up: a", "round 1/2: a", "round 2/2: a"]


def test_processor_time_counts_children_that_were_waited_for() -> None:
    before = cpu_seconds()
    subprocess.run([sys.executable, "-c", "sum(range(10**6))"], check=True, timeout=60)
    assert cpu_seconds() - before > 0.005
