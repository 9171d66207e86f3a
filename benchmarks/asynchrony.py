"""What asynchrony is worth: waits, the share of tokens trained on, time to so many steps, beside the same code at η=0.

Real `azr train --config tiny` runs of equal steps, in turns. N4: share of generated tokens trained on, groups without
variance apart. N5: who waits for whom, and whether the other side's idle time is what the rates imply. N6: wall-clock
of η=0 over η=4, beside the bound of the phases' own times, for the better of two η=0 set-ups: the engine on one core as
in η=4, or on both while the learner waits for it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from azr.bench import Report
from benchmarks.run_folder import Arm, Outcome, carry_out

SUMMARY = "waits, tokens trained on, and steps a minute of the asynchronous run beside the synchronous one"

ARMS = (
    Arm("eta4", ("staleness.max_staleness=4",)),
    Arm("eta0", ("staleness.max_staleness=0",)),
    Arm("eta0-both", ("staleness.max_staleness=0", "rollout.threads=2")),
)

#: Steps left out at the start: pipelines fill, caches warm.
WARM_UP = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how many steps and rounds."""
    parser.add_argument("--steps", type=int, default=60, help="of each run (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each kind (default: %(default)s)")
    parser.add_argument(
        "--folder", type=Path, default=Path("runs/asynchrony"), help="of the runs (default: %(default)s)"
    )


def seconds_of(outcome: Outcome, skip: int = WARM_UP) -> float:
    """Wall-clock from the end of the warm-up to the last step."""
    times = [line["at"] for line in outcome.lines if line.get("at") is not None]
    return float(times[-1] or 0.0) - float(times[skip - 1] or 0.0)


def phases(outcome: Outcome, skip: int = WARM_UP) -> tuple[float, float]:
    """Seconds a step that generating and learning take by themselves, in the synchronous run where they take turns."""
    wait, update = outcome.mean("time/wait_for_batch", skip=skip), outcome.mean("time/update", skip=skip)
    return wait, update


def implied_idle(generate: float, learn: float) -> dict[str, float]:
    """Shares of the time that each side must idle when both work at once, from what a step takes each by itself."""
    longer = max(generate, learn)
    return {"perf/learner_idle": 1.0 - learn / longer, "perf/rollout_idle": 1.0 - generate / longer}


def idle_gap(outcome: Outcome, generate: float, learn: float, skip: int = WARM_UP) -> float:
    """By how much the idle side idles otherwise than the rates imply."""
    name, implied = max(implied_idle(generate, learn).items(), key=lambda item: item[1])
    return abs(outcome.mean(name, skip=skip) - implied)


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Carry out the runs in turns, and hold them beside each other."""
    report.settings |= {"steps": arguments.steps, "rounds": arguments.rounds, "warm-up steps": WARM_UP}
    found: dict[str, list[Outcome]] = {arm.name: [] for arm in ARMS}
    common = [f"run.steps={arguments.steps}", "run.minutes=0", "evaluation.suite=none"]
    for number in range(arguments.rounds):
        for arm in ARMS:
            report.progress(f"round {number}, {arm.name}")
            folder = arguments.folder / f"{arm.name}-{arguments.steps}-{number}"
            found[arm.name].append(carry_out(folder, [*common, f"run.seed={number}", *arm.overrides]))
    for name, outcomes in found.items():
        report.measure(f"{name}: seconds", "s", [seconds_of(one) for one in outcomes], better="lower")
        report.measure(
            f"{name}: learner waits",
            "share",
            [one.mean("perf/learner_idle", skip=WARM_UP) for one in outcomes],
            better="lower",
        )
        report.measure(
            f"{name}: engines idle",
            "share",
            [one.mean("perf/rollout_idle", skip=WARM_UP) for one in outcomes],
            better="lower",
        )
        report.measure(f"{name}: tokens trained on", "share", [one.last("ledger/trained_share") for one in outcomes])
    ratio = report.ratio("N6: η=0 over η=4", "eta0: seconds", "eta4: seconds")
    bounds = []
    for outcome in found["eta0"]:
        generate, learn = phases(outcome)
        bounds.append((generate + learn) / max(generate, learn))
    report.measure("N6: bound of the phases", "factor", bounds)
    bound = sum(bounds) / len(bounds)
    report.goal(
        "N4: share of tokens trained on", min(one.last("ledger/trained_share") for one in found["eta4"]), at_least=0.95
    )
    waits = [
        min(one.mean("perf/learner_idle", skip=WARM_UP), one.mean("perf/rollout_idle", skip=WARM_UP))
        for one in found["eta4"]
    ]
    report.goal("N5: the bottleneck side waits", max(waits), at_most=0.10)
    own = [phases(one) for one in found["eta0"]]
    generate, learn = (sum(side) / len(own) for side in zip(*own, strict=True))
    gaps = [idle_gap(one, generate, learn) for one in found["eta4"]]
    report.goal("N5: the other side idles as the rates imply, within", max(gaps), at_most=0.10)
    report.goal("N6: share of the bound reached", ratio.median / bound, at_least=0.85)
    both = report.ratio("N6: η=0 with the engine on both cores over η=4", "eta0-both: seconds", "eta4: seconds")
    report.goal("N6: over the better of two η=0 set-ups", min(ratio.median, both.median), at_least=1.2)
