"""Does it learn? Held-out accuracy before and after, seeds by arms, with the controls that make it believable.

Each run is a real `azr train --config tiny` in a folder that is kept: an interrupted study goes on where it was. Ten
minutes a run on two quiet cores; the whole table takes a night, so it may be gathered piece by piece and told at last:

    azr bench learning --arms default,shuffled --seeds 5 ──► runs/learning/ARM-SEED ◄── … --arms own-answers --seeds 2
    azr bench learning --arms all-found ──► one table, one plot of curves, one result file that says it all

What each arm shows, and why it is built as it is: docs/decisions/learning-study.md.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from azr.bench import Report
from azr.cli.numbers import positive, whole
from azr.errors import AzrError, UsageError
from azr.names import did_you_mean
from benchmarks.learning_record import BETWEEN, LEARNABLE, curve, edges, record
from benchmarks.run_folder import Arm, Asked, Outcome, asked_of, carry_out, finished

SUMMARY = "held-out accuracy gained by ten minutes of self-play on the tiny default, with controls"

#: Data up to sixteen steps old, and not only allowed to be.
OLD = ("staleness.max_staleness=16", "weights.publish_every=16")

ARMS = (
    Arm("default"),
    Arm("shuffled", ("algorithm.shuffle_rewards=true",)),
    # Supervised training on the model's own right answers: those of its present weights to the same stream of tasks,
    # by plain log-likelihood. The proposer proposes and is not trained.
    Arm(
        "own-answers",
        (
            "algorithm.advantages.solve.name=rejection_sampling",
            "algorithm.batch.cell_weights={deduction/propose: 0, abduction/propose: 0, induction/propose: 0}",
            "algorithm.loss.name=reinforce",
            "algorithm.loss.weight=none",
            "algorithm.loss.allow_uncorrected=true",
        ),
    ),
    Arm("solver-only", ("ablation=solver_only",)),
    Arm("eta0", ("staleness.max_staleness=0",)),
    # The engines get new weights every sixteenth step only: on two cores nothing else makes data that old.
    Arm("eta16", OLD),
    Arm("eta16-uncorrected", (*OLD, "algorithm.loss.weight=none", "algorithm.loss.allow_uncorrected=true")),
    # Two things are not as published: the tiny model's learning rate, and that tasks whose answer is longer than its
    # responses may be are refused. What `algorithm=paper` leaves to the model is tiny's.
    Arm("paper", ("algorithm=paper", "algorithm.optimiser.lr=5e-5", "lengths.output=64")),
)

#: In place of arms: run nothing, tell what lies finished in the folder.
ALL_FOUND = "all-found"

#: The goals are of so many seeds; fewer are measured and judged by nobody. What a control shows, two show.
SEEDS, CONTROL_SEEDS = 5, 2
#: Wanted: points in ten minutes and in an hour, sampled and greedy; and what a control may gain by luck.
GOALS = {10.0: (8.0, 3.0), 60.0: (15.0, 8.0)}
CONTROL_AT_MOST = 2.0
#: Malformed answers of the base, at most: learning the format would not be learning to solve.
MALFORMED_AT_MOST = 0.05
#: Points by which η=4 and η=0 may differ, at both ends of the 90 % interval.
EQUAL_WITHIN = 4.0
#: Two-sided 90 % quantiles of Student's t, by degrees of freedom; beyond the table its last, which is a little wide.
T_90 = (6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812)

#: Runs of each arm by seed.
Found = Mapping[str, Mapping[int, Outcome]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which arms, how many seeds, how long."""
    names = [*(arm.name for arm in ARMS), ALL_FOUND]
    parser.add_argument(
        "--arms",
        default="default,shuffled",
        help=f"of {', '.join(names)}; the last runs nothing and tells all that is finished (default: %(default)s)",
    )
    parser.add_argument("--seeds", type=whole(1), default=5, help="runs of each arm (default: %(default)s)")
    parser.add_argument("--minutes", type=positive(), default=10.0, help="of each run (default: %(default)s)")
    parser.add_argument(
        "--steps", type=whole(0), default=0, help="of each run instead, for equal samples (default: none)"
    )
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
    """Carry out all runs, seed by seed, or find what was run before; and tell what each arm gained."""
    found = gathered(arguments.folder, report) if arguments.arms == ALL_FOUND else carried_out(arguments, report)
    asked = asked_of(next(one.folder for by_seed in found.values() for one in by_seed.values()))
    steps = int(asked.value("run.steps") or 0)
    minutes = 0.0 if steps else float(asked.value("run.minutes") or 0.0)
    report.settings |= {"minutes": minutes, "steps": steps, "overrides": " ".join(arguments.set)}
    report.settings |= {f"seeds of {name}": len(by_seed) for name, by_seed in found.items()}
    others = sorted(otherwise(found))
    if others:
        report.note(f"goals are of the settings as they ship; without them, for asked with {' '.join(others)}")
    for name, by_seed in found.items():
        tell(report, name, list(by_seed.values()), minutes=minutes, judged=not others)
        for seed, one in by_seed.items():
            report.run(record(name, seed, one), curve(name, seed, one))
    compare(report, found, steps=steps, judged=not others)


def otherwise(found: Found) -> set[str]:
    """What runs were asked for besides seed, length, more held-out tasks and what makes their arm."""
    arms = {arm.name: arm for arm in ARMS}
    words = {
        word
        for name, by_seed in found.items()
        for one in by_seed.values()
        for word in in_common(arms[name], asked_of(one.folder))
    }
    return {word for word in words if not word.startswith(("run.", "evaluation.tasks="))}


def carried_out(arguments: argparse.Namespace, report: Report) -> Found:
    """The runs asked for, made now unless they were made before."""
    arms = chosen(arguments.arms)
    found: dict[str, dict[int, Outcome]] = {arm.name: {} for arm in arms}
    bound = [f"run.steps={arguments.steps}", "run.minutes=0"] if arguments.steps else []
    for seed in range(arguments.seeds):
        for arm in arms:
            report.progress(f"seed {seed}, {arm.name}")
            overrides = [f"run.minutes={arguments.minutes}", *bound, f"run.seed={seed}", *arguments.set, *arm.overrides]
            found[arm.name][seed] = carry_out(arguments.folder / f"{arm.name}-{seed}", overrides)
    return found


def gathered(folder: Path, report: Report) -> Found:
    """All finished runs of the folder, if they were asked for alike; commits that differ are told."""
    found, unfinished = finished(folder, ARMS)
    if not found:
        raise AzrError(f"{folder} holds no finished run of the study", "azr bench learning --arms default makes some")
    if unfinished:
        report.note(f"not finished, and left out: {', '.join(unfinished)}")
    runs = [(arm, by_seed) for arm in ARMS for by_seed in found.get(arm.name, {}).values()]
    wordings: dict[tuple[str, ...], list[str]] = {}
    commits: dict[str, list[str]] = {}
    for arm, one in runs:
        asked = asked_of(one.folder)
        wordings.setdefault(in_common(arm, asked), []).append(one.folder.name)
        changed = "+" if asked.commit.endswith("+") else ""
        commits.setdefault(asked.commit.rstrip("+")[:7] + changed, []).append(one.folder.name)
    if len(wordings) > 1:
        told = "; ".join(f"{', '.join(names)}: {' '.join(words) or 'unknown'}" for words, names in wordings.items())
        raise AzrError(f"the runs in {folder} were not asked for alike: {told}", "keep each study in a --folder")
    if len(commits) > 1:
        told = "; ".join(f"{commit or 'unknown'}: {', '.join(names)}" for commit, names in commits.items())
        report.note(f"runs of several commits: {told}")
    return found


def in_common(arm: Arm, asked: Asked) -> tuple[str, ...]:
    """What a run was asked for besides its seed and what makes its arm."""
    return tuple(word for word in asked.overrides if word not in arm.overrides and not word.startswith("run.seed="))


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """The 90 % interval of the mean of paired differences; without end where there is only one."""
    if len(differences) < 2:
        return -math.inf, math.inf
    mean, degrees = statistics.mean(differences), len(differences) - 1
    half = T_90[min(degrees, len(T_90)) - 1] * statistics.stdev(differences) / math.sqrt(len(differences))
    return mean - half, mean + half


def compare(report: Report, found: Found, *, steps: int, judged: bool = True) -> None:
    """Arms beside each other, seed by seed, as far as both have the seed; one seed alone shows nothing."""

    def differences(name: str, one: str, other: str) -> list[float]:
        pairs = found.get(one, {}).keys() & found.get(other, {}).keys()
        gained = [found[one][seed].gain("sampled") - found[other][seed].gain("sampled") for seed in sorted(pairs)]
        if gained:
            report.measure(f"{name}: gain sampled", "points", gained)
        if len(gained) > 1:
            low, high = interval(gained)
            report.note(f"{name}: {statistics.mean(gained):+.1f} points, 90 % interval {low:+.1f} to {high:+.1f}")
        return gained

    equal = differences("η=4 less η=0", "default", "eta0")
    if len(equal) >= SEEDS and steps and judged:
        report.goal(
            "η=4 and η=0 differ at most by", max(map(abs, interval(equal))), at_most=EQUAL_WITHIN, unit="points"
        )
    differences("default less shuffled", "default", "shuffled")
    differences("default less own-answers", "default", "own-answers")
    worse = differences("η=16 corrected less uncorrected", "eta16", "eta16-uncorrected")
    if len(worse) >= CONTROL_SEEDS and judged:
        report.goal("η=16 uncorrected is worse, low end by", interval(worse)[0], at_least=0.0, unit="points")


def malformed(outcome: Outcome) -> float:
    """The share of malformed answers to common tasks before training."""
    rows = [
        row
        for row in outcome.evaluations[0].rows
        if row.difficulty == "common" and row.sampling == "sampled" and row.cell.endswith("/solve")
    ]
    asked = sum(row.responses for row in rows)
    return sum(row.malformed * row.responses for row in rows) / asked if asked else 1.0


def tell(report: Report, name: str, outcomes: list[Outcome], *, minutes: float = 10.0, judged: bool = True) -> None:
    """An arm's measures and, where something was promised of so many seeds in so many minutes, goals."""
    sampled, greedy = ([one.gain(sampling) for one in outcomes] for sampling in ("sampled", "greedy"))
    report.measure(f"{name}: gain sampled", "points", sampled)
    report.measure(f"{name}: gain greedy", "points", greedy)
    report.measure(f"{name}: gain sampled, harder tasks", "points", [one.gain("sampled", "harder") for one in outcomes])
    types = {
        (sampling, kind): [one.gains_by_type(sampling)[kind] for one in outcomes]
        for sampling in ("sampled", "greedy")
        for kind in outcomes[0].gains_by_type(sampling)
    }
    for (sampling, kind), gains in types.items():
        report.measure(f"{name}: gain {sampling}, {kind}", "points", gains)
    report.measure(f"{name}: steps", "steps", [one.last("learner/step") for one in outcomes])
    nearer = tell_edge(report, name, outcomes)
    if name == "default" and judged and len(outcomes) >= SEEDS:
        if minutes in GOALS:
            least_sampled, least_greedy = GOALS[minutes]
            report.goal("gain sampled", statistics.mean(sampled), at_least=least_sampled, unit="points")
            report.goal("gain greedy", statistics.mean(greedy), at_least=least_greedy, unit="points")
        report.goal("malformed answers of the base", max(map(malformed, outcomes)), at_most=MALFORMED_AT_MOST)
        for how, words in (("sampled", ""), ("greedy", ", greedy")):
            least = min(interval(gains)[0] for (sampling, _), gains in types.items() if sampling == how)
            report.goal(f"gain of the task type that gains least{words}, low end", least, at_least=0.0, unit="points")
        if nearer:
            report.goal(f"proposals: {LEARNABLE}, last fifth less first", statistics.mean(nearer), at_least=0.0)
    if name == "shuffled" and judged and len(outcomes) >= CONTROL_SEEDS:
        report.goal("control: shuffled rewards", statistics.mean(sampled), at_most=CONTROL_AT_MOST, unit="points")


def tell_edge(report: Report, name: str, outcomes: Iterable[Outcome]) -> list[float]:
    """Where an arm's proposals lay at first and at last; by how much they came nearer to the edge, run by run."""
    both = [lay for one in outcomes if (lay := edges(one)) is not None]
    for number, end in enumerate(("first fifth", "last fifth") if both else ()):
        report.measure(f"{name}: proposals {BETWEEN}, {end}", "share", [lay[number].between for lay in both])
        report.measure(f"{name}: proposals' {LEARNABLE}, {end}", "share", [lay[number].learnable for lay in both])
        report.measure(f"{name}: proposals' attempts right, {end}", "share", [lay[number].solved for lay in both])
    return [last.learnable - first.learnable for first, last in both]
