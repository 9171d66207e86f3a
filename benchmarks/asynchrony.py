"""What asynchrony is worth: waits, the share of tokens trained on, time to so many steps, beside the same code at η=0.

Real `azr train --config tiny` runs of equal steps, in turns. What makes a batch (engine, players, sandbox, services,
driver) is one side of a run, the learner the other. Set-ups, on the machine's first two cores:

    eta4, eta0             one core for each side, by affinity: neither can borrow the other's while that is idle
    eta4-both, eta0-both   both cores to whoever wants them; at η=0 that is one side at a time

Told are the share of generated tokens trained on, groups without variance apart; which side waits for the other, by the
time its own core has nothing to do, and whether the faster side's is what the rates imply; and wall-clock of η=0 over
η=4 at one core each, beside the bound (g + l) / max(g, l) of the phases' own times, and of the better of the η=0
set-ups over the better of η=4.

Processor time a step stands beside it, because no overlap can beat a machine without an idle core: what is left to gain
over `eta0-both` is at most its idle share. See docs/decisions/asynchrony.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
from pathlib import Path
from typing import NamedTuple

import numpy as np

from azr.bench import Report
from azr.bench.rounds import turned
from azr.cli.numbers import whole
from azr.errors import AzrError, UsageError
from azr.names import did_you_mean
from benchmarks.cores import Cores, Spent, read_looks, spent
from benchmarks.run_folder import Outcome, carry_out, looks_path

SUMMARY = "waits, tokens trained on, and steps a minute of the asynchronous run beside the synchronous one"


class SetUp(NamedTuple):
    """One way to run."""

    name: str
    staleness: int
    bound: bool
    """Whether each side has a core of its own and no other."""
    overrides: tuple[str, ...] = ()


SET_UPS = (
    SetUp("eta4", 4, bound=True),
    SetUp("eta0", 0, bound=True),
    SetUp("eta4-both", 4, bound=False),
    # The learner has both cores to itself while it updates, and takes them.
    SetUp("eta0-both", 0, bound=False, overrides=("learner.threads=2",)),
)

#: All set-ups have these, whatever the machine has.
CORES = 2

#: Steps left out at the start: pipelines fill, caches warm.
WARM_UP = 5
#: Between the last token of old weights and the first of new ones, beside a busy learner on two cores; in seconds.
BUSY_GAP = 0.25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how many steps and rounds. The defaults take 18 minutes on two cores, half of it for starts and stops."""
    names = ",".join(one.name for one in SET_UPS)
    parser.add_argument("--steps", type=whole(1), default=30, help="of each run (default: %(default)s)")
    parser.add_argument("--rounds", type=whole(1), default=2, help="runs of each kind (default: %(default)s)")
    parser.add_argument("--set-ups", default=names, help="which to run; goals need all of them (default: %(default)s)")
    parser.add_argument(
        "--folder", type=Path, default=Path("runs/asynchrony"), help="of the runs (default: %(default)s)"
    )


def chosen(names: str) -> list[SetUp]:
    """The set-ups named."""
    known = {one.name: one for one in SET_UPS}
    for name in names.split(","):
        if name not in known:
            raise UsageError(f"no set-up is called {name!r}; {did_you_mean(name, known)}", f"name some of {[*known]}")
    return [known[name] for name in names.split(",")]


def window(outcome: Outcome, skip: int = WARM_UP) -> tuple[float, float]:
    """When the warm-up and when the last step ended."""
    times = [at for line in outcome.lines if (at := line.get("at")) is not None]
    if len(times) <= skip:
        raise AzrError(f"{outcome.folder} has {len(times)} steps, and {skip} are warm-up", "ask for more --steps")
    return times[skip - 1], times[-1]


def seconds_of(outcome: Outcome, skip: int = WARM_UP) -> float:
    """Wall-clock from the end of the warm-up to the last step."""
    begin, end = window(outcome, skip)
    return end - begin


def taken(outcome: Outcome) -> Spent:
    """Processor time that the sides took in that time."""
    found = spent(read_looks(looks_path(outcome.folder)), *window(outcome))
    if found is None:
        raise AzrError(f"nobody watched what cores {outcome.folder} took", "remove this run to make it anew")
    return found


def phases(outcome: Outcome) -> tuple[float, float]:
    """Seconds a step that generating and learning take by themselves, in the synchronous run where they take turns."""
    wait, update = (outcome.mean(metric, skip=WARM_UP) for metric in ("time/wait_for_batch", "time/update"))
    return wait, update


def waits(outcome: Outcome) -> dict[str, float]:
    """Shares of the time that the sides' own cores have nothing to do, where each has one.

    Of all that makes a batch the engine is one part, and idles while the others have the core: that is no wait for the
    other side.
    """
    cost = taken(outcome)
    return {side: max(0.0, 1.0 - getattr(cost, side) / cost.wall) for side in ("learning", "playing")}


def implied_idle(generate: float, learn: float) -> dict[str, float]:
    """Shares of the time that each side must idle when both work at once, from what a step takes each by itself."""
    longer = max(generate, learn)
    return {"learning": 1.0 - learn / longer, "playing": 1.0 - generate / longer}


def idle_gap(outcome: Outcome, generate: float, learn: float) -> float:
    """By how much the idle side idles otherwise than the rates imply."""
    side, implied = max(implied_idle(generate, learn).items(), key=lambda item: item[1])
    return abs(waits(outcome)[side] - implied)


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Carry out the runs in turns, and hold them beside each other."""
    report.settings |= {"steps": arguments.steps, "rounds": arguments.rounds, "warm-up steps": WARM_UP}
    set_ups = chosen(arguments.set_ups)
    if (available := len(os.sched_getaffinity(0))) < CORES:
        raise AzrError(f"the set-ups take {CORES} cores, and there is {available}", "run it on two cores or more")
    found: dict[str, list[Outcome]] = {one.name: [] for one in set_ups}
    for number in range(arguments.rounds):
        for one in turned(set_ups, number):
            report.progress(f"round {number}, {one.name}")
            overrides = [f"run.steps={arguments.steps}", "run.minutes=0", "evaluation.suite=none", f"run.seed={number}"]
            overrides += [f"staleness.max_staleness={one.staleness}", *one.overrides]
            folder = arguments.folder / f"{one.name}-{arguments.steps}-{number}"
            cores = Cores.one_each() if one.bound else Cores.shared()
            found[one.name].append(carry_out(folder, overrides, cores=cores, anew=True))
    for name, outcomes in found.items():
        tell(report, name, outcomes)
    if found.keys() >= {"eta4", "eta0"}:
        judge(report, found["eta4"], found["eta0"])
    if len(found) == len(SET_UPS):
        judge_best(report, found)


def tell(report: Report, name: str, outcomes: list[Outcome]) -> None:
    """A set-up's measures."""
    report.measure(f"{name}: seconds", "s", [seconds_of(one) for one in outcomes], better="lower")
    for what, metric in (("learner waits", "perf/learner_idle"), ("engines idle", "perf/rollout_idle")):
        idle = [one.mean(metric, skip=WARM_UP) for one in outcomes]
        report.measure(f"{name}: {what}", "share", idle, better="lower")
    report.measure(f"{name}: tokens trained on", "share", [one.last("ledger/trained_share") for one in outcomes])
    costs = [taken(one) for one in outcomes]
    steps = [len(one.lines) - WARM_UP for one in outcomes]
    for side in ("playing", "learning"):
        each = [getattr(cost, side) / count for cost, count in zip(costs, steps, strict=True)]
        report.measure(f"{name}: processor time a step, {side}", "s a step", each, better="lower")
    report.measure(f"{name}: cores at work", "cores", [cost.busy for cost in costs])
    if gaps := [seconds for one in outcomes for seconds in standstills(one)]:
        report.measure(f"{name}: standing still for new weights", "s", gaps, better="lower")


def standstills(outcome: Outcome) -> list[float]:
    """The longest gap of each step and engine between the last token of old weights and the first of new ones; nothing
    of a run from before these were told."""
    return [
        value
        for line in outcome.lines[WARM_UP:]
        for name, value in line.items()
        if name.startswith("sync/gap/") and name.endswith(".max") and value is not None
    ]


def judge(report: Report, asynchronous: list[Outcome], synchronous: list[Outcome]) -> None:
    """Tokens trained on, waits, and how near the phases' bound overlap comes; each side on its own core."""
    own = [phases(one) for one in synchronous]
    report.measure("phases of η=0: generating", "s a step", [generate for generate, _ in own], better="lower")
    report.measure("phases of η=0: learning", "s a step", [learn for _, learn in own], better="lower")
    bounds = report.measure("bound of the phases", "factor", [sum(both) / max(both) for both in own])
    ratio = report.ratio("η=0 over η=4, one core each", "eta0: seconds", "eta4: seconds")
    if pauses := [seconds for one in asynchronous for seconds in standstills(one)]:
        for percent in (50, 99):
            value = float(np.percentile(pauses, percent))
            report.goal(f"old weights' last token to new ones' first, p{percent}", value, at_most=BUSY_GAP, unit="s")
    trained = min(one.last("ledger/trained_share") for one in asynchronous)
    report.goal("share of tokens trained on", trained, at_least=0.95)
    for side in ("learning", "playing"):
        report.measure(f"η=4: {side} side waits", "share", [waits(one)[side] for one in asynchronous], better="lower")
    report.goal("the bottleneck side waits", max(min(waits(one).values()) for one in asynchronous), at_most=0.10)
    generate, learn = (statistics.fmean(side) for side in zip(*own, strict=True))
    gaps = [idle_gap(one, generate, learn) for one in asynchronous]
    report.goal("the other side idles as the rates imply, within", max(gaps), at_most=0.10)
    report.goal("share of the bound reached", ratio.median / statistics.fmean(bounds.rounds), at_least=0.85)


def judge_best(report: Report, found: dict[str, list[Outcome]]) -> None:
    """The better of the η=0 set-ups over the better of η=4, and what idle cores leave to be gained."""

    def best(staleness: int) -> str:
        names = [one.name for one in SET_UPS if one.staleness == staleness]
        return min(names, key=lambda name: statistics.median(map(seconds_of, found[name])))

    slow, fast = best(0), best(4)
    ratio = report.ratio("better η=0 over better η=4", f"{slow}: seconds", f"{fast}: seconds")
    report.goal("over the better of two η=0 set-ups", ratio.median, at_least=1.2)
    bounds = [CORES / taken(one).busy for one in found[slow]]
    most = report.measure("bound of the machine", "factor", bounds).median
    report.note(
        f"the better set-ups are {slow} and {fast}. {slow} keeps {CORES / most:.2f} of {CORES} cores at work, "
        f"so that no overlap of the same work can be more than {most:.2f} times as fast"
    )
