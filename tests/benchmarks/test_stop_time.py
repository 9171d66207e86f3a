"""What is told of stopping is the time past the limit, and whether anything else was harmed."""

from __future__ import annotations

import argparse
import time

import psutil
import pytest

from azr.bench import Report
from benchmarks import stop_time


def _measured(*words: str) -> Report:
    parser = argparse.ArgumentParser()
    stop_time.add_arguments(parser)
    report = Report("stop-time", "azr bench stop-time")
    stop_time.run(parser.parse_args(words), report)
    return report


def test_every_hostile_program_is_stopped_and_none_harms_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        stop_time, "_HOSTILE", {name: stop_time._HOSTILE[name] for name in ("endless loop", "recursion")}
    )
    result = _measured("--backend", "wasm", "--limit", "0.1", "--samples", "1").result()
    assert [check.name for check in result.checks if not check.ok] == []
    assert len(result.checks) == 4, "idle and loaded: ended as it should, and the neighbour unharmed"
    assert {goal.wanted for goal in result.goals} == {"<= 50 ms", "<= 250 ms"}
    loop = next(measure for measure in result.measures if measure.name == "wasm, idle: endless loop")
    assert -100.0 < loop.median < 5000.0


def test_the_load_ends_with_its_block() -> None:
    def at_work() -> list[psutil.Process]:
        living = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
        return [child for child in living if "while True: pass" in child.cmdline()]

    with stop_time._loaded(2):
        deadline = time.monotonic() + 30.0
        while len(busy := at_work()) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)  # on a loaded machine a process has its own words only after a while
        assert len(busy) == 2
    deadline = time.monotonic() + 5.0
    while any(child.is_running() for child in busy) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(child.is_running() for child in busy)
