"""What a batch is made of: too old groups go, surplus goes, the rest is counted, composed and picked.

Called by `azr.ledger.experience.Experience.take`, which records what is decided here. Pure functions of the book:

      ready groups ─ swept ─ surplus ─► counts ─ azr.game.batch.compose ─► counts to take ─► the oldest
                                                        └─ whole? else patient? ──► Shortage
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from azr.game.batch import BatchPlan, Composition, compose
from azr.game.types import Cell, Version
from azr.ledger.book import Book
from azr.ledger.events import Group
from azr.staleness.bound import sweep_reason


class Shortage(NamedTuple):
    """There is no batch yet: samples that each cell lacks."""

    lacking: dict[Cell, int]


class Chosen(NamedTuple):
    """A batch, not yet recorded."""

    groups: list[Group]
    lacking: Collection[Cell]
    """Cells that did not bring their quota."""
    owing: dict[str, int]
    """Groups that cells owe to the next batch."""


def swept(book: Book, consumer: Version) -> list[tuple[Group, str]]:
    """Every finished group that may not be trained on at this step, and why."""
    doomed = []
    for group in book.groups.values():
        if group.state == "ready":
            reason = sweep_reason(group.versions, consumer, book.ancestry, book.limits.max_staleness)
            if reason is not None:
                doomed.append((group, reason))
    return doomed


def surplus(book: Book, plan: BatchPlan, consumer: Version) -> list[Group]:
    """Where proposals overdrew a solve cell: what neither this batch nor the formula has room for, oldest first.

    This bounds the overdraft when replicas keep old weights for long: proposals are then swept one after the other,
    and each leaves behind the attempts that rated it.
    """
    doomed: list[Group] = []
    if not any(book.admission.overdraft(quota.cell) > 0 for quota in plan.quotas):
        return doomed
    carried, finished = book.carried(consumer), _ready(book)
    for quota in plan.quotas:
        excess = book.admission.overdraft(quota.cell)
        ready = finished.get(quota.cell, [])
        asked = quota.sequences + carried.get(quota.cell, 0) * quota.group_size
        spare = sum(group.size for group in ready) - asked
        for group in ready:
            if excess > 0 and spare >= group.size:
                doomed.append(group)
                excess, spare = excess - group.size, spare - group.size
    return doomed


def choose(book: Book, plan: BatchPlan, consumer: Version, waited_for: Collection[Cell]) -> Chosen | Shortage:
    """The batch that can be had now: whole groups, those with the oldest weights first.

    `waited_for`: cells whose quotas must be whole. Of the others, what they lack is up to `plan.when_dry`.
    """
    ready = _ready(book)
    composed = compose(
        plan, {quota.cell: len(ready.get(quota.cell, ())) for quota in plan.quotas}, book.carried(consumer)
    )
    size = {quota.cell: quota.group_size for quota in plan.quotas}
    waits = plan.when_dry == "wait" or any(cell in waited_for for cell in composed.lacking)
    if composed.lacking and waits:
        return Shortage(_samples(composed.lacking, size))
    if composed.lacking and not _may_ship(book, plan, composed):
        return Shortage(_samples(composed.missing, size))
    groups = [group for cell, count in composed.take.items() for group in ready.get(cell, [])[:count]]
    return Chosen(groups, composed.lacking.keys(), {str(cell): count for cell, count in composed.carried.items()})


def _may_ship(book: Book, plan: BatchPlan, composed: Composition) -> bool:
    """Whether a batch without whole quotas is worth a step.

    What `carry` leaves out is asked for later. `redistribute` fills every place, and waits for what is under way in the
    cells that could do so; where nothing is, waiting would be for ever.
    """
    if not composed.groups:
        return False
    if plan.when_dry == "carry":
        return True
    roles = {cell.role for cell in composed.missing}
    return not any(cell.role in roles and _under_way(book, cell) for cell in composed.take)


def _under_way(book: Book, cell: Cell) -> bool:
    """Whether anything unfinished may yet become part of this cell: a proposal brings attempts, too."""
    return any(
        group.state in ("open", "judged") and (group.cell == cell or Cell(group.task_type, "solve") == cell)
        for group in book.groups.values()
    )


def _ready(book: Book) -> dict[Cell, list[Group]]:
    """What may be trained on in each cell, oldest weights first."""
    ready: dict[Cell, list[Group]] = {}
    for group in book.groups.values():
        if group.state == "ready":
            ready.setdefault(group.cell, []).append(group)
    for groups in ready.values():
        groups.sort(key=lambda group: (min(group.versions).step, group.sequence))
    return ready


def _samples(groups: Mapping[Cell, int], size: Mapping[Cell, int]) -> dict[Cell, int]:
    return {cell: count * size[cell] for cell, count in groups.items()}
