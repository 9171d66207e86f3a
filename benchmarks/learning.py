"""Does it learn? Held-out accuracy before and after, seeds by arms, with the controls that make it believable.

Each run is a real `azr train --config tiny` in a folder that is kept: an interrupted study goes on where it was. Ten
minutes a run on two quiet cores; the whole table takes a night.

    arms: default · shuffled rewards · solver only · η 0, 4, 16 · η 16 uncorrected · paper         each with `--seeds`
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from azr.bench import Report
from azr.errors import UsageError
from azr.names import did_you_mean
from benchmarks.run_folder import Arm, Outcome, carry_out

SUMMARY = "held-out accuracy gained by ten minutes of self-play on the tiny default, with controls"

ARMS = (
    Arm("default"),
    Arm("shuffled", ("algorithm.shuffle_rewards=true",)),
    Arm("solver-only", ("ablation=solver_only",)),
    Arm("eta0", ("staleness.max_staleness=0",)),
    Arm("eta16", ("staleness.max_staleness=16",)),
    Arm(
        "eta16-uncorrected",
        ("staleness.max_staleness=16", "algorithm.loss.weight=none", "algorithm.loss.allow_uncorrected=true"),
    ),
    Arm("paper", ("algorithm=paper", "algorithm.optimiser.lr=1.5e-5")),
)

#: N10: points in ten minutes and in an hour, sampled and greedy; and what a control may gain by luck.
GOALS = {10.0: (8.0, 3.0), 60.0: (15.0, 8.0)}
CONTROL_AT_MOST = 2.0
#: Malformed answers of the base, at most: learning the format would not be learning to solve.
MALFORMED_AT_MOST = 0.05
#: Points by which η=4 and η=0 may differ, at both ends of the 90 % interval.
EQUAL_WITHIN = 4.0
#: Two-sided 90 % quantiles of Student's t, by degrees of freedom; beyond the table the normal one.
T_90 = (6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which arms, how many seeds, how long."""
    names = [arm.name for arm in ARMS]
    parser.add_argument("--arms", default="default,shuffled", help=f"of {', '.join(names)} (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each arm (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=10.0, help="of each run (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=0, help="of each run instead, for equal samples (default: none)")
    parser.add_argument("--folder", type=Path, default=Path("runs/learning"), help="of the runs (default: %(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override in every arm")


def chosen(names: str) -> list[Arm]:
    """The arms named."""
    known = {arm.name: arm for arm in ARMS}
    for name in names.split(","):
        if name not in known:
            raise UsageError(f"no arm is called {name!r}; {did_you_mean(name, known)}", "see azr bench learning --help")
    return [known[name] for name in names.split(",")]


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Carry out all runs, seed by seed, and tell what each arm gained."""
    arms = chosen(arguments.arms)
    report.settings |= {"seeds": arguments.seeds, "minutes": arguments.minutes, "steps": arguments.steps}
    report.settings["overrides"] = " ".join(arguments.set)
    found: dict[str, list[Outcome]] = {arm.name: [] for arm in arms}
    for seed in range(arguments.seeds):
        for arm in arms:
            report.progress(f"seed {seed}, {arm.name}")
            bound = [f"run.steps={arguments.steps}", "run.minutes=0"] if arguments.steps else []
            overrides = [f"run.minutes={arguments.minutes}", *bound, f"run.seed={seed}", *arguments.set, *arm.overrides]
            found[arm.name].append(carry_out(arguments.folder / f"{arm.name}-{seed}", overrides))
    for arm in arms:
        tell(report, arm.name, found[arm.name], minutes=0.0 if arguments.steps else arguments.minutes)
    if arguments.steps and {"default", "eta0"} <= found.keys():
        compare(report, found["default"], found["eta0"])


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """The 90 % interval of the mean of paired differences; without end where there is only one."""
    if len(differences) < 2:
        return -math.inf, math.inf
    mean, degrees = statistics.mean(differences), len(differences) - 1
    quantile = T_90[degrees - 1] if degrees <= len(T_90) else 1.645
    half = quantile * statistics.stdev(differences) / math.sqrt(len(differences))
    return mean - half, mean + half


def compare(report: Report, asynchronous: Sequence[Outcome], synchronous: Sequence[Outcome]) -> None:
    """η=4 beside η=0 at equal samples, seed by seed."""
    differences = [
        one.gain("sampled") - other.gain("sampled") for one, other in zip(asynchronous, synchronous, strict=True)
    ]
    low, high = interval(differences)
    report.measure("η=4 less η=0: gain sampled", "points", differences)
    report.goal("η=4 and η=0 differ at most by", max(abs(low), abs(high)), at_most=EQUAL_WITHIN, unit="points")


def malformed(outcome: Outcome) -> float:
    """The share of malformed answers to common tasks before training."""
    rows = [
        row
        for row in outcome.evaluations[0].rows
        if row.difficulty == "common" and row.sampling == "sampled" and row.cell.endswith("/solve")
    ]
    asked = sum(row.responses for row in rows)
    return sum(row.malformed * row.responses for row in rows) / asked if asked else 1.0


def tell(report: Report, name: str, outcomes: list[Outcome], *, minutes: float = 10.0) -> None:
    """An arm's measures and, where something was promised of it in so many minutes, goals."""
    sampled, greedy = ([one.gain(sampling) for one in outcomes] for sampling in ("sampled", "greedy"))
    report.measure(f"{name}: gain sampled", "points", sampled)
    report.measure(f"{name}: gain greedy", "points", greedy)
    report.measure(f"{name}: gain sampled, harder tasks", "points", [one.gain("sampled", "harder") for one in outcomes])
    for kind in outcomes[0].gains_by_type("sampled"):
        report.measure(
            f"{name}: gain sampled, {kind}", "points", [one.gains_by_type("sampled")[kind] for one in outcomes]
        )
    report.measure(f"{name}: steps", "steps", [one.last("learner/step") for one in outcomes])
    if name == "default":
        if minutes in GOALS:
            least_sampled, least_greedy = GOALS[minutes]
            report.goal("gain sampled", statistics.mean(sampled), at_least=least_sampled, unit="points")
            report.goal("gain greedy", statistics.mean(greedy), at_least=least_greedy, unit="points")
        report.goal("malformed answers of the base", max(map(malformed, outcomes)), at_most=MALFORMED_AT_MOST)
        types = {
            kind: statistics.mean(one.gains_by_type("sampled")[kind] for one in outcomes)
            for kind in outcomes[0].gains_by_type("sampled")
        }
        report.goal("gain of the task type that gains least", min(types.values()), at_least=0.0, unit="points")
    if name == "shuffled":
        report.goal("control: shuffled rewards", statistics.mean(sampled), at_most=CONTROL_AT_MOST, unit="points")
