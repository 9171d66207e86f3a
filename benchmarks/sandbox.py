"""What a program costs in the sandbox, beside what it costs elsewhere; all contenders in one run, taking turns."""

from __future__ import annotations

import argparse
import contextlib

from azr.bench import Report, interleave
from azr.cli.numbers import whole
from azr.errors import UsageError
from azr.names import did_you_mean
from benchmarks.contest import Contender, Lap, load_programs
from benchmarks.programs.make import SETS

SUMMARY = "cost of a program in each sandbox back end, beside subprocess, a warm pool and bare exec"

#: Laps of about a second each: cheap contenders go over the programs more often. 0: all inputs of a program at once.
_PASSES = {
    "wasm brand-new": 8,
    "wasm restored": 16,
    "wasm brand-new, 16 inputs a program": 0,
    "wasm restored, 16 inputs a program": 0,
    "process": 2,
    "subprocess python -I": 1,
    "pebble pool (unisolated)": 24,
    "bare exec (unisolated)": 64,
}
_BACKEND = "benchmarks.sandbox_peers:backend"
_FACTORIES: dict[str, tuple[str, dict[str, str]]] = {
    "wasm brand-new": (_BACKEND, {"name": "wasm", "instances": "fresh"}),
    "wasm restored": (_BACKEND, {"name": "wasm", "instances": "restored"}),
    "wasm brand-new, 16 inputs a program": (_BACKEND, {"name": "wasm", "instances": "fresh"}),
    "wasm restored, 16 inputs a program": (_BACKEND, {"name": "wasm", "instances": "restored"}),
    "process": (_BACKEND, {"name": "process"}),
    "subprocess python -I": ("benchmarks.unsafe_peers:interpreter_a_program", {}),
    "pebble pool (unisolated)": ("benchmarks.unsafe_peers:pebble_pool", {}),
    "bare exec (unisolated)": ("benchmarks.unsafe_peers:bare_exec", {}),
}
_REFERENCE = "bare exec (unisolated)"

#: Executions a second of processor time, one core: the goals of the sandbox.
_GOAL_BRAND_NEW = 1500.0
_GOAL_RESTORED = 3500.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare rounds and contenders."""
    parser.add_argument(
        "--programs", choices=sorted(SETS), default="short", help="which set of 208 programs (default: %(default)s)"
    )
    parser.add_argument(
        "--rounds", type=whole(1), default=5, help="rounds that count, after one to warm up (default: 5)"
    )
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="only this contender, beside bare exec; may be repeated"
    )


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Let the contenders take turns; measure, compare their answers, hold the goals."""
    names = _chosen(arguments.only)
    programs = load_programs(arguments.programs)
    report.settings |= {"programs": arguments.programs, "count": len(programs), "rounds": arguments.rounds}
    with contextlib.ExitStack() as stack:
        contenders = {
            name: stack.enter_context(Contender(name, *_FACTORIES[name], programs, passes=_PASSES[name]))
            for name in names
        }
        laps = interleave(
            {name: contender.lap for name, contender in contenders.items()},
            arguments.rounds,
            progress=report.progress,
        )
    _tell_costs(report, laps)
    _tell_agreement(report, laps)


def _chosen(only: list[str] | None) -> list[str]:
    for name in only or []:
        if name not in _FACTORIES:
            raise UsageError(f"no contender is called {name!r}; {did_you_mean(name, _FACTORIES)}", "see --help")
    return [name for name in _FACTORIES if not only or name in only or name == _REFERENCE]


def _tell_costs(report: Report, laps: dict[str, list[Lap]]) -> None:
    for name, each in laps.items():
        report.measure(name, "CPU µs/execution", [lap.microseconds for lap in each], better="lower")
    for name, each in laps.items():
        report.measure(f"{name}, wall", "executions/s, one after the other", [lap.per_second for lap in each])
    for name, goal in (("wasm brand-new", _GOAL_BRAND_NEW), ("wasm restored", _GOAL_RESTORED)):
        if name in laps:
            measure = report.measure(
                f"{name}, per core", "executions/CPU s", [1e6 / lap.microseconds for lap in laps[name]]
            )
            report.goal(f"{name}, executions a second and core", measure.median, at_least=goal, unit="1/s")
    for name in ("wasm brand-new", "wasm restored"):
        _tell_ratios(report, name, laps)


def _tell_ratios(report: Report, name: str, laps: dict[str, list[Lap]]) -> None:
    """How many times cheaper than what isolates as well or less, how many times dearer than what does not."""
    if name not in laps:
        return
    held = name == "wasm restored"
    for peer, at_least in (("process", 7.0), ("subprocess python -I", 50.0)):
        if peer in laps:
            ratio = report.ratio(f"{peer} costs, against {name}", peer, name)
            if held:
                report.goal(f"{name}: times cheaper than {peer}", ratio.median, at_least=at_least, unit="x")
    for peer in ("pebble pool (unisolated)", "bare exec (unisolated)"):
        if peer in laps:
            ratio = report.ratio(f"{name} costs, against {peer}", name, peer)
            if held and peer.startswith("pebble"):
                report.goal(f"{name}: times dearer than {peer}", ratio.median, at_most=2.2, unit="x")


def _tell_agreement(report: Report, laps: dict[str, list[Lap]]) -> None:
    """Every execution that was timed gave the answer that bare exec gives."""
    expected: dict[tuple[str, str], str] = {}
    for lap in laps[_REFERENCE]:
        expected |= dict(_answered(lap))
    for name, each in laps.items():
        answers = [answer for lap in each for answer in _answered(lap)]
        wrong = [(key, said) for key, said in answers if said != expected[key]]
        detail = f"{len(answers) - len(wrong)} of {len(answers)} answers agree"
        if wrong:
            (_, argument), said = wrong[0]
            detail += f"; first: f({argument}) said {said[:80]!r}, expected {expected[wrong[0][0]][:80]!r}"
        report.check(name, not wrong, detail)


def _answered(lap: Lap) -> list[tuple[tuple[str, str], str]]:
    return [
        ((program, argument), answer)
        for (program, arguments), answers in zip(lap.work, lap.answers, strict=True)
        for argument, answer in zip(arguments, answers, strict=True)
    ]
