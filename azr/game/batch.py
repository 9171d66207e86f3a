"""Which sequences a learner step takes, and what they weigh.

Pure functions over counts of groups (a proposal is a group of one, the attempts at one task are another):

    quotas(config) ─► Quota a cell ─┬─► next_work(demands)  ─► what an idle actor does (azr.game.planner)
                                    └─► compose(supply)     ─► Composition: how many groups of each cell to take
                                                 └─► loss_weights(cells) ─► learner

Within a solve cell new tasks and replay fill in for each other before anything else happens. What a cell still lacks
then is `when_dry`'s business: `redistribute` hands its places to cells of the same role that have more than they
need, `carry` adds them to the cell's next quota, `wait` takes nothing until it has come. Who waits is the caller,
with its own deadline; a batch that is shipped incomplete says what it lacks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from azr.config.sections.algorithm import AlgorithmConfig, BatchConfig
from azr.game.types import Cell


@dataclass(frozen=True, slots=True)
class Quota:
    """What one cell puts into a batch, in groups."""

    cell: Cell
    groups: int
    group_size: int = 1
    replay: int = 0
    """How many of the groups come from tasks of earlier steps."""

    @property
    def sequences(self) -> int:
        """The same in sequences."""
        return self.groups * self.group_size


@dataclass(frozen=True, slots=True)
class Supply:
    """Groups of one cell that are ready to be taken."""

    new: int = 0
    replay: int = 0


@dataclass(frozen=True, slots=True)
class Composition:
    """How many groups of each cell the batch takes."""

    take: dict[Cell, Supply]
    missing: dict[Cell, int]
    """Groups that a cell owed and nobody made up for."""
    carried: dict[Cell, int] = field(default_factory=dict)
    """`carry`: groups asked of the cell besides its quota next time."""

    @property
    def complete(self) -> bool:
        """Nothing is missing."""
        return not any(self.missing.values())


def quotas(algorithm: AlgorithmConfig) -> tuple[Quota, ...]:
    """Each cell's quota, in order of task types, proposing first. Without proposers all solving is replay."""
    game, batch = algorithm.game, algorithm.batch
    groups = batch.solve // batch.attempts_per_task
    replay = round(groups * batch.replay_share) if game.train_propose else groups
    found: list[Quota] = []
    for task in game.task_types:
        if game.train_propose:
            found.append(Quota(Cell(task, "propose"), batch.propose))
        found.append(Quota(Cell(task, "solve"), groups, batch.attempts_per_task, replay))
    return tuple(found)


def compose(
    wanted: Sequence[Quota], supply: Mapping[Cell, Supply], carried: Mapping[Cell, int], batch: BatchConfig
) -> Composition:
    """What to take from the supply; the same counts always give the same answer."""
    have = {quota.cell: supply.get(quota.cell, Supply()) for quota in wanted}
    owed = {quota.cell: quota.groups + carried.get(quota.cell, 0) for quota in wanted}
    take = {quota.cell: _fill(quota, owed[quota.cell], have[quota.cell]) for quota in wanted}
    if batch.when_dry == "redistribute":
        take, missing = _redistributed(wanted, owed, take, have)
        return Composition(take, missing)
    missing = {cell: owed[cell] - taken.new - taken.replay for cell, taken in take.items()}
    if batch.when_dry == "wait":
        whole = not any(missing.values())
        return Composition(take if whole else dict.fromkeys(take, Supply()), missing)
    limits = {quota.cell: int(quota.groups * batch.carry_limit) for quota in wanted}
    return Composition(take, missing, {cell: min(lack, limits[cell]) for cell, lack in missing.items()})


def _fill(quota: Quota, owed: int, have: Supply) -> Supply:
    """Up to `owed` groups in the quota's proportion of new to replay; each source fills in for the other."""
    share = quota.replay / quota.groups if quota.groups else 0.0
    replay = min(round(owed * share), have.replay)
    new = min(owed - replay, have.new)
    return Supply(new=new, replay=min(owed - new, have.replay))


def _redistributed(
    wanted: Sequence[Quota], owed: Mapping[Cell, int], take: dict[Cell, Supply], have: Mapping[Cell, Supply]
) -> tuple[dict[Cell, Supply], dict[Cell, int]]:
    """Places that a cell cannot fill, given to cells of its role that have more, in proportion to their quotas."""
    result, missing = dict(take), dict.fromkeys(take, 0)
    for role in ("propose", "solve"):
        cells = [quota for quota in wanted if quota.cell.role == role]
        lacking = {quota.cell: owed[quota.cell] - _count(take[quota.cell]) for quota in cells}
        spare = {quota.cell: _count(have[quota.cell]) - _count(take[quota.cell]) for quota in cells}
        gifts = apportion(sum(lacking.values()), {quota.cell: quota.groups for quota in cells}, spare)
        for quota in cells:
            more = _count(take[quota.cell]) + gifts[quota.cell]
            result[quota.cell] = _fill(quota, more, have[quota.cell])
        unfilled = sum(lacking.values()) - sum(gifts.values())
        missing |= apportion(unfilled, lacking, lacking)
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


def _count(supply: Supply) -> int:
    return supply.new + supply.replay


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
