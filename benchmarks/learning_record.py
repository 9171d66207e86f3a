"""What the learning study keeps of each run, so that its result file alone can be judged and drawn again.

run folder ──► record: seed, settings, commit, steps, held-out answers before and after, where proposals lay
           └─► curve: right answers, validity, rewards, the proposals' edge, step by step, thinned
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from azr.bench.curves import curve_of, rounded
from azr.bench.result import Curve
from azr.run.folder import RunFolder
from benchmarks.edge import Edge, Rated, edge, ends, read_rated
from benchmarks.run_folder import Outcome, asked_of

#: Quantities of a curve, and the metrics that they are the mean of, over what those are told apart by.
QUANTITIES = {
    "attempts right": "batch/accuracy/",
    "proposals valid": "batch/valid/",
    "reward of attempts": "reward/mean/*/solve",
    "reward of proposals": "reward/mean/*/propose",
}
BETWEEN, LEARNABLE = "solved at times", "4 p (1 - p)"


def record(arm: str, seed: int, outcome: Outcome) -> dict[str, Any]:
    """What the run was, and what it left."""
    asked = asked_of(outcome.folder)
    return {
        "arm": arm,
        "seed": seed,
        "commit": asked.commit,
        "settings": list(asked.overrides),
        "steps": int(outcome.last("learner/step")),
        "seconds": round(outcome.last("time/elapsed"), 1),
        "held_out": [
            {
                "step": one.step,
                "columns": ["answers", "right", "malformed"],
                "rows": {
                    f"{row.difficulty} {row.cell} {row.sampling}": [
                        row.responses,
                        rounded(row.right),
                        rounded(row.malformed),
                    ]
                    for row in one.rows
                },
            }
            for one in outcome.evaluations
        ],
        "edge": _edge_of(outcome),
    }


def edges(outcome: Outcome) -> tuple[Edge, Edge] | None:
    """Where the run's proposals lay in the first and in the last fifth of its steps; None where nobody proposed."""
    return ends(rated(outcome), int(outcome.last("learner/step")))


def rated(outcome: Outcome) -> list[Rated]:
    """The ratings of the run's proposals."""
    return read_rated(RunFolder(outcome.folder).tasks)


def _edge_of(outcome: Outcome) -> dict[str, dict[str, float]]:
    both = edges(outcome)
    return {
        name: {key: rounded(value) for key, value in one._asdict().items()}
        for name, one in zip(("first fifth", "last fifth"), both or (), strict=False)
    }


def curve(arm: str, seed: int, outcome: Outcome) -> Curve:
    """How the run went."""
    values = {name: [_mean_of(line, pattern) for line in outcome.lines] for name, pattern in QUANTITIES.items()}
    by_step: dict[int, list[Rated]] = {}
    for one in rated(outcome):
        by_step.setdefault(one.step, []).append(one)
    # A line is written once its step is done: step 1 is the line of the batch that step 0 took.
    lay = [edge(by_step.get(int(line["learner/step"] or 0) - 1, [])) for line in outcome.lines]
    values[BETWEEN] = [one and one.between for one in lay]
    values[LEARNABLE] = [one and one.learnable for one in lay]
    told = {name: column for name, column in values.items() if any(value is not None for value in column)}
    return curve_of(arm, f"seed {seed}", [line["learner/step"] or 0.0 for line in outcome.lines], told)


def _mean_of(line: Mapping[str, float | None], pattern: str) -> float | None:
    """The mean over task types of a metric; the type stands where the pattern has its `*`, or ends."""
    before, _, after = pattern.partition("*")
    known = [
        value for name, value in line.items() if value is not None and name.startswith(before) and name.endswith(after)
    ]
    return statistics.fmean(known) if known else None
