"""Prioritised draws and updates of a million tasks, on one core: what the task buffers stand on."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from azr.bench import Report, interleave
from azr.buffers import SumTree
from azr.cli.numbers import whole

SUMMARY = "draws and updates a second of the sum-tree, its memory, beside numpy's own weighted choice"

#: Goals of the buffers, for batches on one core.
_GOAL_DRAWS = 200_000.0
_GOAL_UPDATES = 50_000.0
#: Bytes a task: two float64, and the capacity rounded up to a power of two at worst doubles them.
_GOAL_BYTES = 32.0

#: Stretches of tasks over which drawn frequencies are compared.
_STRETCHES = 100

#: Processor time that one lap measures.
_LAP_SECONDS = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the number of tasks, the batch and the rounds."""
    parser.add_argument(
        "--tasks", type=whole(_STRETCHES), default=1_000_000, help="items in the tree (default: %(default)s)"
    )
    parser.add_argument("--batch", type=whole(1), default=1024, help="items a call (default: %(default)s)")
    parser.add_argument(
        "--rounds", type=whole(1), default=5, help="rounds that count, after one to warm up (default: 5)"
    )


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Measure draws, updates and numpy's choice in turns; hold the goals; see that draws follow the weights."""
    tasks, batch = arguments.tasks, arguments.batch
    report.settings |= {"tasks": tasks, "batch": batch, "rounds": arguments.rounds}
    generator = np.random.default_rng(0)
    weights = generator.random(tasks)
    tree = SumTree(tasks)
    tree.assign(weights)
    shares = weights / weights.sum()

    def update(count: int) -> None:
        tree.update(generator.integers(0, tasks, count), generator.random(count))

    contenders: dict[str, Callable[[], float]] = {
        "draws": lambda: _rate(lambda: tree.draw(batch, generator), batch),
        "draws without repetition": lambda: _rate(lambda: tree.draw_distinct(batch, generator), batch),
        "updates": lambda: _rate(lambda: update(batch), batch),
        "draws one by one": lambda: _rate(lambda: tree.draw(1, generator), 1),
        "numpy choice": lambda: _rate(lambda: generator.choice(tasks, batch, p=shares), batch),
    }
    laps = interleave(contenders, arguments.rounds, progress=report.progress)
    report.measures("items/s", laps)
    report.ratio("draws over numpy choice", "draws", "numpy choice")
    sizes = {"bytes a task": tree.nbytes / tasks, "bytes a task, a tenth of the tasks": _bytes_each(tasks // 10)}
    for name, value in sizes.items():
        report.measure(name, "bytes", [value], better="lower")
    # The buffers never draw an item twice in a call.
    drawn = float(np.median(laps["draws without repetition"]))
    report.goal("draws a second, batched, without repetition", drawn, at_least=_GOAL_DRAWS, unit="items/s")
    report.goal("updates a second, batched", float(np.median(laps["updates"])), at_least=_GOAL_UPDATES, unit="items/s")
    report.goal("memory a task", max(sizes.values()), at_most=_GOAL_BYTES, unit="bytes")
    _tell_agreement(tree, generator, report)


def _rate(call: Callable[[], object], count: int) -> float:
    """Items a second of processor time."""
    began = time.process_time()
    calls = 0
    while (spent := time.process_time() - began) < _LAP_SECONDS:
        call()
        calls += 1
    return calls * count / spent


def _bytes_each(tasks: int) -> float:
    return SumTree(max(tasks, 1)).nbytes / max(tasks, 1)


def _tell_agreement(tree: SumTree, generator: np.random.Generator, report: Report) -> None:
    """Draws over stretches of tasks, against the weights of those stretches."""
    stretches = np.array_split(np.arange(tree.capacity), _STRETCHES)
    expected = np.array([tree.weights[stretch].sum() for stretch in stretches]) / tree.weights.sum()
    drawn = tree.draw(1_000_000, generator)
    edges = [stretch[0] for stretch in stretches] + [tree.capacity]
    counts = np.histogram(drawn, edges)[0]
    statistic = float(((counts - expected * len(drawn)) ** 2 / (expected * len(drawn))).sum())
    # 99 degrees of freedom: 148 is exceeded by chance once in a thousand runs.
    report.check("drawn frequencies match the weights", statistic < 148.2, f"chi-square {statistic:.1f} on 99 degrees")
