"""The next work of whoever has a lane free, and the choice between kinds of it.

Handed out by `azr.ledger.experience`. Each proposal fans out into n attempts. Left to themselves, attempts would take
every slot (they are n times as many), or proposals would pile up unrated. So:

1. Attempts that rate a proposal, and what was lost and must be made again, go first: their proposal cannot be trained
   on before, and grows stale.
2. Then new work in the admitted cell that has the least of its quota under way (`Admission.wanted`).

Neither starves: what is begun raises its cell's share, so that every choice turns to the cell that is furthest behind.

      waiting ratings, retries ──► ToAttempt ─┐ granted: a lease is held
      admitted, least under way ─► ToPropose ─┘
                             └───► ToReplay     not yet: draw a task of this type, then `Experience.replay_many`
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from azr.game.types import Cell, Role
from azr.ledger.events import Group
from azr.staleness.admission import Admission

#: Both roles, for who can do either.
ROLES: tuple[Role, ...] = ("propose", "solve")


class ToAttempt(NamedTuple):
    """Make the attempts that this group awaits."""

    group: Group


class ToPropose(NamedTuple):
    """Propose a task of this type, as the group of this name."""

    group: str
    task_type: str


class ToReplay(NamedTuple):
    """Attempts at a buffered task of this type would be admitted as the group of this name."""

    group: str
    task_type: str


Work = ToAttempt | ToPropose | ToReplay


def new_work(
    admission: Admission, names: Collection[str], roles: Collection[Role], dry: Collection[str]
) -> list[ToPropose | ToReplay]:
    """New work under these names, as far as it is admitted; `dry` names task types that have no task to replay.

    The slots of each are held in a copy of `admission` before the next is chosen.
    """
    trial = admission.copy()
    chosen: list[ToPropose | ToReplay] = []
    for name in names:
        cell = next((cell for cell in trial.wanted() if _possible(cell, roles, dry)), None)
        if cell is None:
            break
        if cell.role == "propose":
            trial.hold_proposal(cell.task)
            chosen.append(ToPropose(name, cell.task))
        else:
            trial.hold_replay(cell.task)
            chosen.append(ToReplay(name, cell.task))
    return chosen


def _possible(cell: Cell, roles: Collection[Role], dry: Collection[str]) -> bool:
    return cell.role in roles and not (cell.role == "solve" and cell.task in dry)
