"""Contenders run the same work in processes of their own, and all the processor time they cause is counted."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from azr.bench import Report
from azr.errors import AzrError
from benchmarks import contest, sandbox
from benchmarks.contest import Contender, Lap, Runner, cpu_of_tree

_PROGRAMS = contest.load_programs("short")
_HERE = "tests.benchmarks.test_contest"


def echo(**options: str) -> Runner:
    """A runner that answers each input with itself."""
    return lambda work: [list(inputs) for _, inputs in work]


def burn() -> Runner:
    """A runner that spends a tenth of a second in a child that stays alive, and as much in one that ends."""
    stays = subprocess.Popen(
        [sys.executable, "-c", "import sys\nfor _ in sys.stdin: sum(range(3 * 10**6)); print(1, flush=True)"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert stays.stdin is not None
    assert stays.stdout is not None
    wants, gives = stays.stdin, stays.stdout

    def run(work: contest.Work) -> list[list[str]]:
        wants.write("\n")
        wants.flush()
        gives.readline()
        subprocess.run([sys.executable, "-c", "sum(range(3 * 10**6))"], check=True)
        return [list(inputs) for _, inputs in work]

    return run


def broken() -> Runner:
    """A runner that cannot be built."""
    raise ModuleNotFoundError("no such engine")


def test_a_lap_gives_each_program_one_input_a_pass_and_another_each_time() -> None:
    with Contender("echo", f"{_HERE}:echo", {}, _PROGRAMS, passes=3) as contender:
        lap = contender.lap()
    assert lap.executions == 3 * len(_PROGRAMS)
    first = [inputs for _, inputs in lap.work[:: len(_PROGRAMS)]]
    assert first == [[_PROGRAMS[0].inputs[number]] for number in range(3)]
    assert lap.answers == [inputs for _, inputs in lap.work]


def test_no_passes_give_each_program_all_its_inputs_at_once() -> None:
    with Contender("echo", f"{_HERE}:echo", {}, _PROGRAMS, passes=0) as contender:
        lap = contender.lap()
    assert [inputs for _, inputs in lap.work] == [program.inputs for program in _PROGRAMS]


def test_the_time_of_children_counts_whether_they_live_or_ended() -> None:
    with Contender("burn", f"{_HERE}:burn", {}, _PROGRAMS) as contender:
        contender.lap()
        both = contender.lap().cpu_seconds
    before = time.process_time()
    sum(range(3 * 10**6))
    once = time.process_time() - before
    assert both > 1.2 * once, "one of the two children was not counted"


def test_a_contender_that_cannot_be_built_is_told_by_name() -> None:
    with pytest.raises(AzrError, match="contender 'broken' cannot run: ModuleNotFoundError: no such engine"):
        Contender("broken", f"{_HERE}:broken", {}, _PROGRAMS).__enter__()


def test_a_contender_that_hangs_is_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contest, "LAP_SECONDS", 0.0)
    with (
        pytest.raises(AzrError, match="contender 'echo' said nothing"),
        Contender("echo", f"{_HERE}:echo", {}, _PROGRAMS, passes=50) as contender,
    ):
        contender.lap()


def test_the_processor_time_of_a_tree_grows_with_work() -> None:
    before = cpu_of_tree()
    sum(range(10**6))
    assert cpu_of_tree() > before


def test_an_answer_that_differs_from_bare_exec_makes_the_result_unsound() -> None:
    work = [("def f(x): return x", ["1", "2"])]
    report = Report("sandbox", "azr bench sandbox")
    right = Lap(2, 1.0, 1.0, work, [["1", "2"]])
    wrong = Lap(2, 1.0, 1.0, work, [["1", "3"]])
    sandbox._tell_agreement(report, {"bare exec (unisolated)": [right], "wasm restored": [wrong]})
    result = report.result()
    assert [check.ok for check in result.checks] == [True, False]
    assert "first: f(2) said '3', expected '2'" in result.checks[1].detail


def test_costs_come_with_ratios_and_goals() -> None:
    work = [("def f(x): return x", ["1"])]

    def laps(microseconds: float) -> list[Lap]:
        return [Lap(1, microseconds / 1e6, microseconds / 1e6, work, [["1"]])]

    report = Report("sandbox", "azr bench sandbox")
    sandbox._tell_costs(
        report, {"wasm restored": laps(250.0), "process": laps(2000.0), "pebble pool (unisolated)": laps(125.0)}
    )
    result = report.result()
    goals = {goal.name: (goal.value, goal.met) for goal in result.goals}
    assert goals["wasm restored, executions a second and core"] == (4000.0, True)
    assert goals["wasm restored: times cheaper than process"] == (8.0, True)
    assert goals["wasm restored: times dearer than pebble pool (unisolated)"] == (2.0, True)
