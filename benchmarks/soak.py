"""The whole run under fire: `azr train` whose processes are killed at random, each kind, the driver as well.

        kill -9 of one kind, at a moment, both by lot ──► does the run go on by itself? (a killed driver: --resume)
        └── … for so many minutes ── Ctrl-C ──► the books, the journals, MLflow, what is left on the machine

A kill is recovered from when two more steps are told. That says nothing of an engine, for another one makes those
steps: of a kill that takes an engine along it is also told when as many replicas as there should be have named a
version that was published after it. Who is waited for: the run, `PATIENCE_SECONDS` for a step, and as long for
an engine.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil

from azr.bench import Report
from azr.cli.numbers import positive, whole
from azr.config import load
from azr.config.sections.run import LARGEST_SEED
from azr.errors import AzrError
from azr.run.reaper import lives
from benchmarks.aftermath import books, left_by, remains, same_mlflow_run
from benchmarks.audit import Audit, Beginning, journals
from benchmarks.growth import FLAT, Memory, growth, thirds
from benchmarks.processes import Seen
from benchmarks.victims import DRIVER, ENGINE, FORK_SERVER, OURS, RAYS, drawn, moments
from benchmarks.whole_run import Lines, Step, WholeRun

SUMMARY = "kill -9 of every kind of process of a whole run, at random: does it go on, is anything lost or left?"

#: What is ours dies twice as often as what Ray brings along.
KINDS = (*OURS, DRIVER, *OURS, DRIVER, *RAYS)

#: Without these a driver cannot live: it is started again with --resume. Ray's raylet lives and dies with its agents.
FATAL = (DRIVER, "gcs", "raylet", "runtime env agent", "dashboard agent")
#: Whose death may cut a journal.
WRITERS = (*FATAL, "experience", "tasks")

#: Small steps, so that many are killed at; two engines, so that one can answer for the other. What may grow by design,
#: up to a bound, is full after the warm-up, for memory is held against it.
OVERRIDES = (
    "run.minutes=0",
    "algorithm.batch.propose=4",
    "algorithm.batch.solve=40",
    "seeding.triplets=16",
    "seeding.inductions=16",
    "buffers.capacity=256",
    "evaluation.suite=none",
    "learner.checkpoint_every=5",
    "rollout.replicas=2",
    "rollout.kv_cache_mb=64",
    "actors.heartbeat_seconds=0.5",
    "actors.silence_seconds=8",
    "actors.grace_seconds=3",
    "actors.restart_seconds=240",
    "actors.shorten_mb=4096",  # the audit reads all of the history
)

#: Seconds between two looks.
LOOK_SECONDS = 1.0
#: Without a new step for so long, the run does not go on.
PATIENCE_SECONDS = 400.0
#: For a killed driver's processes, and for the driver after Ctrl-C.
GRACE_SECONDS, STOP_SECONDS = 60.0, 240.0
#: Whose death takes an engine along: the replica goes with its engine, and the fork server with the one it made.
SERVING = (ENGINE, "replica", FORK_SERVER)
#: Seconds in which an engine has to serve again, without a standby and with one.
ENGINE_SECONDS, STANDBY_SECONDS = 45.0, 20.0
#: Drivers that may end by themselves without a step in between.
VAIN = 3
#: Steps after a kill that show that the run goes on: one may have been under way.
STEPS = 2


@dataclass
class Kill:
    """One process killed, and what came of it."""

    kind: str
    pid: int
    at: float
    """Seconds since 1970, as steps are told."""
    step: int
    """The newest step that was told."""
    others: int
    """Processes of the kind that there were."""
    starting: bool = False
    """Whether the driver had not told a step yet: recovery then takes what its start takes."""
    back: float | None = None
    """Seconds until there were as many again."""
    recovered: float | None = None
    """Seconds until `STEPS` more steps were told."""
    steps: list[int] = field(default_factory=list)
    """Told since."""
    serving: set[str] = field(default_factory=set)
    """Replicas that have named a version published since."""
    served: float | None = None
    """Of `SERVING`: seconds until a step told that as many replicas serve as there should be."""
    superseded: bool = False
    """Whether the driver went before that: what came then was not the mending of this."""

    @property
    def awaited(self) -> bool:
        """Whether an engine has still to come back after it."""
        return self.kind in SERVING and self.served is None and not self.superseded


class Outcome(NamedTuple):
    """What a soak saw."""

    kills: list[Kill]
    steps: list[Step]
    memory: Memory
    ended: list[str]
    """Drivers that ended though nobody had killed what they live by."""
    cut: list[str]
    """Journals that lost something they had held."""
    spared: list[str]
    """Kinds that were to be killed and were not there at any moment left for them."""
    status: int
    """With which the last driver ended."""


class Soak:
    """Kills in a run, and watches."""

    def __init__(
        self, run: WholeRun, lot: random.Random, tell: Callable[[str], None] = lambda _: None, *, replicas: int = 2
    ) -> None:
        self._run, self._lot, self._tell, self._replicas = run, lot, tell, replicas
        self._lines = Lines(run.folder.metrics)
        self._steps: list[Step] = []
        self._kills: list[Kill] = []
        self._memory = Memory()
        self._ended: list[str] = []
        self._beginnings: list[Beginning] = []
        self._heard = time.monotonic()
        self._doomed = False
        """Whether the present driver was killed, or what it lives by."""
        self._under_way = False
        """Whether the present driver has told a step."""
        self._in_vain = 0
        """Drivers that ended by themselves, one after the other, without a step in between."""

    def carry_out(self, kinds: Sequence[str], at: Sequence[float], seconds: float) -> Outcome:
        """Kill these kinds at these moments of the time that begins with the first steps; end after `seconds`."""
        self._run.start()
        while len(self._steps) < STEPS:
            self._look()
        began, waiting = time.monotonic(), list(kinds)
        for moment in at:
            # Of some kinds there may never be a process.
            while (passed := time.monotonic() - began) < moment or (passed < seconds and not self._strike(waiting)):
                self._look()
        while time.monotonic() - began < seconds or not self._settled():
            self._look()
        self._run.note("Ctrl-C")
        status = self._run.stop(STOP_SECONDS)
        self._steps += self._lines.new()
        cut = sorted({str(one.path) for one in self._beginnings if not one.kept()})
        return Outcome(self._kills, self._steps, self._memory, self._ended, cut, waiting, status)

    def _strike(self, waiting: list[str]) -> bool:
        """Kill one of the first kind in the queue of which there is a process; whether there was any.

        A driver that only starts is spared, with what it lives by: it would be started again and again.
        """
        found = self._run.look()
        spared = () if self._under_way else FATAL
        for kind in waiting:
            if victims := [one for one in found if one.kind == kind and kind not in spared]:
                if not self._kill(self._lot.choice(victims), len(victims)):
                    return False
                waiting.remove(kind)
                return True
        return False

    def _kill(self, victim: Seen, others: int) -> bool:
        """Kill it, unless it has just gone by itself."""
        step = self._steps[-1].number if self._steps else 0
        kill = Kill(victim.kind, victim.process.pid, time.time(), step, others, not self._under_way)
        try:
            victim.process.kill()
        except psutil.NoSuchProcess:
            return False
        self._kills.append(kill)
        self._say(f"kill {len(self._kills)}: {kill.kind} (process {kill.pid}) after step {step}")
        self._doomed = self._doomed or kill.kind in FATAL
        if kill.kind in WRITERS:
            _wait_for_end(victim)
            self._beginnings += [Beginning.of(path) for path in journals(self._run.folder.root)]
        return True

    def _look(self) -> None:
        """Sleep, then see who is there, what was told, and start a driver if there is none."""
        time.sleep(LOOK_SECONDS)
        if not self._run.alive:
            self._again()
        found = self._run.look()
        self._memory.note(found, apiece=True)
        new = self._lines.new()
        self._steps += new
        if new:
            self._heard, self._under_way, self._in_vain = time.monotonic(), True, 0
        for kill in self._kills:
            self._follow(kill, found, new)
        if time.monotonic() - self._heard > PATIENCE_SECONDS:
            raise AzrError(f"no step within {PATIENCE_SECONDS:g} s", f"{self._run.output} has what the run said")

    def _again(self) -> None:
        status = self._run.driver.returncode
        if not self._doomed:
            last = self._kills[-1].kind if self._kills else "no kill"
            self._ended.append(f"driver {len(self._run.drivers)} ended with status {status} after {last}")
            self._in_vain += 1
            if self._in_vain == VAIN:
                raise AzrError(f"{VAIN} drivers ended without a step", f"{self._run.output} has what the run said")
        self._say(f"driver {len(self._run.drivers)} is gone (status {status}); --resume")
        self._doomed = self._under_way = False
        for kill in self._kills:
            kill.superseded = kill.superseded or kill.awaited
        self._run.start()

    def _follow(self, kill: Kill, found: Sequence[Seen], new: Sequence[Step]) -> None:
        passed = time.time() - kill.at
        if kill.back is None and sum(one.kind == kill.kind and one.process.pid != kill.pid for one in found) >= (
            kill.others
        ):
            kill.back = passed
        since = [step for step in new if step.at > kill.at]
        if kill.recovered is None:
            kill.steps += [step.number for step in since]
            if len(kill.steps) >= STEPS:
                kill.recovered = passed
                back = "not yet" if kill.back is None else f"after {kill.back:.1f} s"
                self._say(f"{kill.kind} (process {kill.pid}): {STEPS} steps after {passed:.1f} s, back {back}")

        for step in since if kill.awaited else ():
            kill.serving |= {name for name, version in versions(step).items() if version > kill.steps[0]}
            if len(kill.serving) >= self._replicas:
                kill.served = step.at - kill.at
                self._say(f"{kill.kind} (process {kill.pid}): {self._replicas} serve after {kill.served:.1f} s")
                return

    def _settled(self) -> bool:
        def over(kill: Kill) -> bool:
            waits = kill.awaited and time.time() - kill.at < PATIENCE_SECONDS
            return kill.recovered is not None and not waits

        return self._run.alive and all(map(over, self._kills))

    def _say(self, line: str) -> None:
        self._run.note(line)
        self._tell(line)


def versions(step: Step) -> dict[str, float]:
    """The versions that replicas served, as that step told them, by the replica's name."""
    return {name: value for name, value in step.values.items() if name.startswith("sync/version/")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare for how long, and how often."""
    parser.add_argument("--minutes", type=positive(), default=30.0, help="of killing (default: %(default)g)")
    parser.add_argument("--every", type=positive(), default=30.0, help="seconds between kills (default: %(default)g)")
    parser.add_argument(
        "--seed", type=whole(0, LARGEST_SEED), default=7, help="of whom to kill and when (default: %(default)s)"
    )
    parser.add_argument("--kinds", default=",".join(KINDS), help="whom to kill, by comma; twice is twice as often")
    parser.add_argument("--folder", type=Path, default=Path("runs"), help="of the run (default: %(default)s)")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="change the run's configuration")


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Kill for so long, then look at what is left."""
    kinds = tuple(arguments.kinds.split(","))
    words = [*OVERRIDES, *arguments.overrides]
    report.settings |= {
        "minutes": arguments.minutes,
        "every": arguments.every,
        "seed": arguments.seed,
        "overrides": " ".join(words),
    }
    lot = random.Random(arguments.seed)
    seconds = 60.0 * arguments.minutes
    at = moments(seconds, arguments.every, lot)
    before = remains()
    rollout = load(["tiny"], words).rollout
    with WholeRun(arguments.folder, f"soak-{time.strftime('%m%d-%H%M%S')}", words) as whole:
        soak = Soak(whole, lot, report.progress, replicas=rollout.replicas)
        outcome = soak.carry_out(drawn(kinds, len(at), lot), at, seconds)
        left = whole.left(GRACE_SECONDS)
    folder, said = os.path.relpath(whole.folder.root), os.path.relpath(whole.output)
    report.note(f"the run is in {folder}, what it said in {said}")
    lying = left_by({pid for pid, _ in whole.everybody}, remains() - before)
    hold(report, whole, outcome, left, lying)
    tell(report, outcome, standby=rollout.standby > 0)


def hold(report: Report, whole: WholeRun, outcome: Outcome, left: Sequence[str], lying: Iterable[Path]) -> None:
    """What must be true whatever was killed."""
    card = whole.card()
    not_closed, audit = books(whole.folder.root)
    report.check(
        "the run ended properly",
        outcome.status == 0 and card.ended == "stopped",
        f"exit status {outcome.status}, {card.ended}",
    )
    report.check("no driver ended that could have gone on", not outcome.ended, "; ".join(outcome.ended))
    report.check("the run went on after every kill", all(kill.recovered is not None for kill in outcome.kills))
    missing = [f"{kill.kind} (process {kill.pid})" for kill in outcome.kills if kill.awaited]
    report.check("an engine serves again after every kill of one", not missing, ", ".join(missing))
    report.check("the ledger closes", not not_closed, not_closed)
    report.check("no sample was trained on twice", not audit.twice, ", ".join(audit.twice[:5]))
    report.check("the journal tells the whole run", audit.whole)
    report.check("nothing acknowledged was lost: journals hold what they held", not outcome.cut, ", ".join(outcome.cut))
    told = disagreements(outcome.steps, audit)
    report.check("books and learner agree on what was trained on", not told, "; ".join(told[:5]))
    report.check("one MLflow run", *same_mlflow_run(whole.folder))
    report.check("no process is left", not left, ", ".join(left))
    litter = ", ".join(map(str, sorted({inside for path in lying for inside in (path, *path.glob("*"))})))
    report.check("nothing is left in /dev/shm or in the temporary folder", not litter, litter)
    if outcome.spared:
        report.note(f"not killed, because not there: {', '.join(outcome.spared)}")
    report.note(
        f"{len(outcome.kills)} kills, {len(whole.drivers)} drivers, {len(outcome.steps)} steps told, "
        f"{audit.samples:,} samples, {audit.undone:,} of them trained on, undone and available again"
    )


def disagreements(steps: Sequence[Step], audit: Audit) -> list[str]:
    """Steps that told of a batch which the books never gave out for them."""
    found = []
    for step in steps:
        size = round(sum(value for name, value in step.values.items() if name.startswith("batch/sequences/")))
        if size and size not in audit.sizes.get(step.number - 1, []):
            found.append(f"step {step.number} told {size} sequences, the books {audit.sizes.get(step.number - 1)}")
    return found


def tell(report: Report, outcome: Outcome, *, standby: bool = False) -> None:
    """Recovery by kind, and how flat the run was."""
    by_kind: dict[str, list[Kill]] = defaultdict(list)
    for kill in outcome.kills:
        by_kind[kill.kind].append(kill)
    for kind, kills in sorted(by_kind.items()):
        if seconds := _recoveries(kills, starting=False):
            report.measure(f"{kind} killed: two steps later", "s", seconds, better="lower")
        if seconds := [kill.back for kill in kills if kill.back is not None]:
            report.measure(f"{kind} killed: there again", "s", seconds, better="lower")
        if seconds := [kill.served for kill in kills if kill.served is not None and not kill.starting]:
            report.measure(f"{kind} killed: all serve again", "s", seconds, better="lower")
    if seconds := _recoveries(outcome.kills, starting=True):
        report.measure("anybody killed while a driver starts: two steps later", "s", seconds, better="lower")
    for kind, by in ((DRIVER, "the next driver"), ("learner rank", "the next learner")):
        repeated = [kill.step + 1 - kill.steps[0] for kill in by_kind.get(kind, []) if kill.steps and not kill.starting]
        if repeated:
            report.measure(f"steps done again by {by}", "steps", repeated, better="lower")
    served = [kill.served for kill in outcome.kills if kill.served is not None and not kill.starting]
    if served:
        bound, beside = (STANDBY_SECONDS, "a standby") if standby else (ENGINE_SECONDS, "no standby")
        report.goal(f"engines all serve again, {beside}, longest", max(served), at_most=bound, unit="s")
    times = [step.values["time/step"] for step in outcome.steps]
    report.measure("step: median of the first and of the last third", "s", thirds(times), better="lower")
    report.goal("step, growth", growth(times), at_most=FLAT)
    for kind, held in sorted(outcome.memory.by_kind.items()):
        if len(held) >= 30:
            mib = [value / 2**20 for value in held]
            report.measure(f"memory of a process, {kind}: first and last third", "MiB", thirds(mib), better="lower")
            report.goal(f"memory, {kind}, growth", growth(held), at_most=FLAT)


def _recoveries(kills: Sequence[Kill], *, starting: bool) -> list[float]:
    """Seconds of those that were made while a driver started, or of the others."""
    return [kill.recovered for kill in kills if kill.recovered is not None and kill.starting == starting]


def _wait_for_end(victim: Seen) -> None:
    """Until a killed process writes no more, for ten seconds at most."""
    gone = time.monotonic() + 10.0
    while lives(victim.process) and time.monotonic() < gone:
        time.sleep(0.01)
