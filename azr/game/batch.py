"""Which sequences a learner step takes, and what they weigh.

Pure functions over counts of groups (a proposal is a group of one, the attempts at one task are another). Called by
`azr.ledger.taking`, which knows the groups themselves, and by the run for what they weigh:

    BatchPlan.of(config) ─┬─► compose(supply, carried) ─► Composition: how many groups of each cell to take
                          └─► loss_weights(cells) ─► learner

What a cell lacks of its quota is `when_dry`'s business: `redistribute` hands its places to cells of the same role that
have more than they need, `carry` adds them to the cell's next quota, `wait` makes the learner wait until they have
come. How long anybody waits before that is the caller's. How much of a solve cell is replay is no question here: it is
decided once, where work is admitted (`azr.staleness.admission`), and what was generated is trained on, oldest first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from azr.config.sections.algorithm import AlgorithmConfig
from azr.game.types import Cell


@dataclass(frozen=True, slots=True)
class Quota:
    """What one cell puts into a batch, in groups."""

    cell: Cell
    groups: int
    group_size: int = 1

    @property
    def sequences(self) -> int:
        """The same in sequences."""
        return self.groups * self.group_size


class BatchPlan(NamedTuple):
    """What every batch is to hold, and what to do when a cell cannot bring its part."""

    quotas: tuple[Quota, ...]
    when_dry: str = "wait"
    carry_limit: float = 1.0

    @classmethod
    def of(cls, algorithm: AlgorithmConfig) -> BatchPlan:
        """The plan that a configuration asks for."""
        return cls(quotas(algorithm), algorithm.batch.when_dry, algorithm.batch.carry_limit)


@dataclass(frozen=True, slots=True)
class Composition:
    """How many groups of each cell a batch would take now."""

    take: dict[Cell, int]
    lacking: dict[Cell, int]
    """Groups that cells lack of their own quotas; only cells that lack some."""
    missing: dict[Cell, int]
    """What is still missing of the batch after `when_dry` has acted; only cells that miss some."""
    carried: dict[Cell, int]
    """`carry`: groups asked of a cell besides its quota next time; only cells that owe some."""

    @property
    def groups(self) -> int:
        """Groups in the batch."""
        return sum(self.take.values())


def quotas(algorithm: AlgorithmConfig) -> tuple[Quota, ...]:
    """Each cell's quota, in order of task types, proposing first."""
    game, batch = algorithm.game, algorithm.batch
    groups = batch.solve // batch.attempts_per_task
    found: list[Quota] = []
    for task in game.task_types:
        if game.train_propose:
            found.append(Quota(Cell(task, "propose"), batch.propose))
        found.append(Quota(Cell(task, "solve"), groups, batch.attempts_per_task))
    return tuple(found)


def divided(algorithm: AlgorithmConfig, shards: int) -> tuple[AlgorithmConfig, ...]:
    """The algorithm for each of several shards of the experience: quotas shared out in whole groups, as evenly as can
    be, the first shards having one more. Proposals and the attempts that rate them stay in proportion."""
    batch = algorithm.batch
    groups = batch.solve // batch.attempts_per_task
    return tuple(
        dataclasses.replace(
            algorithm,
            batch=dataclasses.replace(
                batch,
                propose=_part(batch.propose, shards, shard),
                solve=_part(groups, shards, shard) * batch.attempts_per_task,
            ),
        )
        for shard in range(shards)
    )


def _part(whole: int, shards: int, shard: int) -> int:
    return whole // shards + (shard < whole % shards)


def compose(plan: BatchPlan, supply: Mapping[Cell, int], carried: Mapping[Cell, int]) -> Composition:
    """What to take from a supply of groups; the same counts always give the same answer.

    Deficits that were `carried` are made up for as far as the supply goes, but nobody lacks them.
    """
    have = {quota.cell: supply.get(quota.cell, 0) for quota in plan.quotas}
    owed = {quota.cell: quota.groups + carried.get(quota.cell, 0) for quota in plan.quotas}
    take = {cell: min(places, have[cell]) for cell, places in owed.items()}
    lacking = _positive({quota.cell: quota.groups - take[quota.cell] for quota in plan.quotas})
    if plan.when_dry == "redistribute":
        take, missing = _redistributed(plan.quotas, owed, take, have)
        return Composition(take, lacking, _positive(missing), {})
    missing = _positive({cell: owed[cell] - taken for cell, taken in take.items()})
    if plan.when_dry == "wait":
        return Composition(take, lacking, missing, {})
    limits = {quota.cell: int(quota.groups * plan.carry_limit) for quota in plan.quotas}
    owing = _positive({cell: min(lack, limits[cell]) for cell, lack in missing.items()})
    return Composition(take, lacking, missing, owing)


def _positive(counts: Mapping[Cell, int]) -> dict[Cell, int]:
    return {cell: count for cell, count in counts.items() if count > 0}


def _redistributed(
    wanted: Sequence[Quota], owed: Mapping[Cell, int], take: Mapping[Cell, int], have: Mapping[Cell, int]
) -> tuple[dict[Cell, int], dict[Cell, int]]:
    """Places that a cell cannot fill, given to cells of its role that have more, in proportion to their quotas."""
    result, missing = dict(take), dict.fromkeys(take, 0)
    for role in ("propose", "solve"):
        weights = {quota.cell: quota.groups for quota in wanted if quota.cell.role == role}
        lacking = {cell: owed[cell] - take[cell] for cell in weights}
        gifts = apportion(sum(lacking.values()), weights, {cell: have[cell] - take[cell] for cell in weights})
        for cell, more in gifts.items():
            result[cell] += more
        missing |= apportion(sum(lacking.values()) - sum(gifts.values()), lacking, lacking)
    return result, missing


def apportion(places: int, weights: Mapping[Cell, int], room: Mapping[Cell, int]) -> dict[Cell, int]:
    """Hand out up to `places` in proportion to `weights`, none above its `room`; whole numbers, deterministic.

    Places go one by one to whoever is furthest behind its share (the highest weight per place had, counting the next
    one; ties to the first): the method of D'Hondt.
    """
    given = dict.fromkeys(weights, 0)
    for _ in range(places):
        open_to = [cell for cell in weights if given[cell] < room[cell]]
        if not open_to:
            break
        given[max(open_to, key=lambda cell: weights[cell] / (given[cell] + 1))] += 1
    return given


def loss_weights(cells: Sequence[Cell], algorithm: AlgorithmConfig) -> npt.NDArray[np.float64]:
    """What each sequence's loss is multiplied by: its cell's weight, λ if it solves, and its quota with `equal_cells`.

    All 1 by default. With `equal_cells` a cell weighs as if it had filled its quota exactly, so that a cell that ran
    dry is not drowned by those that took its places.
    """
    batch = algorithm.batch
    weight = {cell: batch.cell_weights.get(str(cell), 1.0) for cell in set(cells)}
    weight = {cell: value * (batch.solve_lambda if cell.role == "solve" else 1.0) for cell, value in weight.items()}
    if batch.equal_cells:
        present = _counts(cells)
        share = {quota.cell: quota.sequences for quota in quotas(algorithm)}
        weight = {cell: value * share[cell] / present[cell] for cell, value in weight.items()}
    return np.array([weight[cell] for cell in cells], dtype=np.float64)


def _counts(cells: Iterable[Cell]) -> dict[Cell, int]:
    counts: dict[Cell, int] = {}
    for cell in cells:
        counts[cell] = counts.get(cell, 0) + 1
    return counts
