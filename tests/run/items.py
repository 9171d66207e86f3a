"""Samples of a batch as the experience hands them out, written by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from azr.game.types import Attempt, Cell, Proposal, Task, Trajectory, Verdict, Version, VersionSpan
from azr.game.wire import encode
from azr.ledger.events import Group, Kind, Rating
from azr.ledger.experience import Item
from azr.ledger.ledger import Sample
from sandbox_wasm.protocol import Facts

ZERO = Version(0, 0)


def spans(*steps: int, lineage: int = 0) -> tuple[VersionSpan, ...]:
    """One token of each of these weights."""
    return tuple(VersionSpan(place, place + 1, Version(lineage, step)) for place, step in enumerate(steps))


def trajectory(name: str, cell: Cell, group: str, reward: float, made: tuple[VersionSpan, ...]) -> Trajectory:
    tokens = made[-1].end
    return Trajectory(
        id=name,
        cell=cell,
        group=group,
        prompt_ids=np.arange(3, dtype=np.int32),
        response_ids=np.arange(tokens, dtype=np.int32),
        behaviour_logprobs=np.full(tokens, -0.5, dtype=np.float32),
        spans=made,
        reward=reward,
    )


def proposal(
    name: str,
    *,
    rating: tuple[int, int] | None,
    made: tuple[VersionSpan, ...] = spans(0, 0),
    rated_at: int = 0,
    facts: Facts | None = None,
    shown: tuple[Facts, ...] = (),
    task_type: str = "deduction",
) -> Item:
    """A proposal: refused by the gate, or rated `right` of `attempts` by weights `rated_at`."""
    cell = Cell(task_type, "propose")
    task = Task(
        id=f"{name}/task",
        task_type=task_type,
        program="def f(x):\n    return x",
        inputs=("1",),
        outputs=("1",),
        output_keys=("1",),
        output_types=("int",),
    )
    record = Proposal(
        trajectory=trajectory(f"{name}#0", cell, name, 0.0, made),
        task=task if rating else None,
        reason="accepted" if rating else "banned",
        facts=facts,
        shown=shown,
    )
    known = Rating(*rating, Version(0, rated_at)) if rating else None
    group = Group(id=name, kind="proposal", task_type=task_type, size=1, rating=known)
    sample = Sample.of(record.trajectory, body=encode(record))
    oldest = min([sample.oldest, *([known.oldest] if known else [])])
    return Item(sample, group, oldest)


def attempts(
    name: str, rewards: Sequence[float], *, kind: Kind = "rating", made: tuple[VersionSpan, ...] = spans(0, 0)
) -> list[Item]:
    """A whole group of attempts at one task: 1 is right, -0.5 wrong, -1 malformed."""
    cell = Cell("deduction", "solve")
    group = Group(id=name, kind=kind, task_type="deduction", size=len(rewards))
    items = []
    for index, reward in enumerate(rewards):
        record = Attempt(
            trajectory=trajectory(f"{name}#{index}", cell, name, reward, made),
            task_id="task",
            verdict=Verdict(correct=reward > 0, well_formed=reward > -1, reason="correct" if reward > 0 else "wrong"),
        )
        sample = Sample.of(record.trajectory, correct=reward > 0, body=encode(record))
        items.append(Item(sample, group, sample.oldest))
    return items
