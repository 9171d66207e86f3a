"""The choice of work, and quotas of shards, until `azr.ledger` and `azr.game.batch` make them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import NamedTuple

from azr.config.sections.algorithm import AlgorithmConfig
from azr.game.types import Role
from azr.ledger.events import Group
from azr.ledger.experience import Experience


class ToAttempt(NamedTuple):
    """Attempts to make, before anything else: a rating, or what was lost."""

    group: Group


class ToPropose(NamedTuple):
    """A proposal that was admitted."""

    group: str
    task_type: str


class ToReplay(NamedTuple):
    """Attempts at an old task would be admitted; draw one and open the group."""

    group: str
    task_type: str


Work = ToAttempt | ToPropose | ToReplay


def next_work(
    experience: Experience,
    task_types: Sequence[str],
    owner: str,
    names: Sequence[str],
    now: float,
    *,
    roles: Collection[Role],
    dry: Collection[str] = (),
) -> list[Work]:
    """At most one piece of work a name."""
    found: list[Work] = []
    for name in names:
        if "solve" in roles and (group := experience.next_group(owner, now)) is not None:
            found.append(ToAttempt(group))
            continue
        for cell in experience.book.admission.wanted(task_types):
            if cell.role not in roles or (cell.role == "solve" and cell.task in dry):
                continue
            if cell.role == "propose":
                if experience.propose(name, cell.task, owner, now) is None:
                    found.append(ToPropose(name, cell.task))
            else:
                found.append(ToReplay(name, cell.task))
            break
        else:
            break
    return found


def divided(algorithm: AlgorithmConfig, shards: int) -> tuple[AlgorithmConfig, ...]:
    """The algorithm for each of several shards: quotas shared out in whole groups."""
    batch = algorithm.batch
    groups = batch.solve // batch.attempts_per_task

    def part(whole: int, shard: int) -> int:
        return whole // shards + (shard < whole % shards)

    return tuple(
        dataclasses.replace(
            algorithm,
            batch=dataclasses.replace(
                batch, propose=part(batch.propose, shard), solve=part(groups, shard) * batch.attempts_per_task
            ),
        )
        for shard in range(shards)
    )
