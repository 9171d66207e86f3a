"""Does a step cost more the longer a run goes on? Step time and memory of every kind of process over many steps.

A real `azr train --config tiny` with batches so small that a step takes a fraction of a second. Its processes are
looked at from outside; the first third of the run, once it is under way, is held against the last.

    steps as told, memory by kind ──► without the warm-up ──► medians of the first and of the last third ──► growth
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from azr.bench import Report
from azr.cli.numbers import whole
from azr.errors import AzrError
from benchmarks.processes import Seen
from benchmarks.victims import DRIVER, OURS
from benchmarks.whole_run import Lines, Step, WholeRun

SUMMARY = "step time and memory of every kind of process over many steps: flat, or do they grow?"

#: A step is small, so that there are many; what may grow by design, up to a bound, is full after the warm-up.
OVERRIDES = (
    "run.minutes=0",
    "algorithm.batch.propose=1",
    "algorithm.batch.solve=8",
    "algorithm.loss.minibatches=1",
    "learner.checkpoint_every=100",
    "seeding.triplets=16",
    "seeding.inductions=16",
    "evaluation.suite=none",
    "rollout.kv_cache_mb=64",
    "buffers.capacity=128",
)
#: Ray's own processes, and those that libraries keep for themselves.
THE_REST = "Ray's own and others"
#: Share of the run that is left out at its start.
WARM_UP = 0.1
#: Seconds between two looks at the processes.
LOOK_SECONDS = 2.0
#: Without a new step for so long the run is given up.
PATIENCE_SECONDS = 400.0
#: Growth that is allowed, as a share.
FLAT = 0.05


class Memory:
    """Resident bytes by kind: at each look, of a kind's processes together."""

    def __init__(self) -> None:
        self.by_kind: dict[str, list[float]] = defaultdict(list)

    def note(self, found: Sequence[Seen], *, apiece: bool = False) -> None:
        """One look; `apiece`: of one process of the kind, since kinds that are being killed vary in number. What is not
        ours counts as one kind."""
        kinds: dict[str, list[int]] = defaultdict(list)
        for one in found:
            kinds[one.kind if one.kind in (*OURS, DRIVER) else THE_REST].append(one.memory)
        for kind, held in kinds.items():
            self.by_kind[kind].append(sum(held) / (len(held) if apiece else 1))


def thirds(values: Sequence[float]) -> tuple[float, float]:
    """Medians of the first third and of the last, the warm-up left out."""
    settled = values[int(len(values) * WARM_UP) :]
    size = len(settled) // 3
    if size == 0:
        raise AzrError(f"{len(values)} values have no thirds to compare", "run for longer")
    return statistics.median(settled[:size]), statistics.median(settled[-size:])


def growth(values: Sequence[float]) -> float:
    """By what share the last third is above the first."""
    first, last = thirds(values)
    return last / first - 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how many steps."""
    parser.add_argument("--steps", type=whole(1), default=2000, help="learner steps (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=None, help="keep the run there (default: a temporary folder)")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="change the run's configuration")


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Let a run go on for so many steps, and look at it."""
    report.settings |= {"steps": arguments.steps, "overrides": " ".join((*OVERRIDES, *arguments.overrides))}
    with tempfile.TemporaryDirectory(prefix="azr-growth-") as temporary:
        runs = arguments.folder or Path(temporary)
        words = [*OVERRIDES, f"run.steps={arguments.steps}", *arguments.overrides]
        with WholeRun(runs, f"growth-{time.strftime('%m%d-%H%M%S')}", words) as whole:
            whole.start()
            steps, memory = watch(whole, arguments.steps, report)
    report.check("the run ended properly", whole.driver.returncode == 0, f"exit status {whole.driver.returncode}")
    tell(report, steps, memory.by_kind)


def watch(whole: WholeRun, until: int, report: Report) -> tuple[list[Step], Memory]:
    """Look at the run until it ends; the steps it told, and who held how much memory between the first and the last."""
    lines, memory, steps = Lines(whole.folder.metrics), Memory(), list[Step]()
    heard = time.monotonic()
    while whole.alive:
        if new := lines.new():
            steps += new
            heard = time.monotonic()
            report.progress(f"step {steps[-1].number} of {until}")
        if time.monotonic() - heard > PATIENCE_SECONDS:
            raise AzrError(f"no step within {PATIENCE_SECONDS:g} s", f"{whole.output} has what the run said")
        found = whole.look()
        if steps and steps[-1].number < until:
            memory.note(found)
        time.sleep(LOOK_SECONDS)
    return steps + lines.new(), memory


def tell(report: Report, steps: Sequence[Step], memory: Mapping[str, Sequence[float]]) -> None:
    """Measures and goals. Work is told beside the whole step: what a step waits for is the engines' pace."""
    report.check("every step was told", [step.number for step in steps] == list(range(1, len(steps) + 1)))
    times = {
        "step": [step.values["time/step"] for step in steps],
        "step without waiting": [
            step.values["time/step"] - step.values.get("time/wait_for_batch", 0.0) for step in steps
        ],
    }
    for name, values in times.items():
        report.measure(f"{name}: median of the first and of the last third", "s", thirds(values), better="lower")
    for name, values in times.items():
        report.goal(f"{name}, growth", growth(values), at_most=FLAT)
    for kind, held in sorted(memory.items()):
        if len(held) >= 10:
            mib = [value / 2**20 for value in held]
            report.measure(f"memory, {kind}: first and last third", "MiB", thirds(mib), better="lower")
            report.goal(f"memory, {kind}, growth", growth(held), at_most=FLAT)
