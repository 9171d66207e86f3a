"""What a proposer is shown: which known tasks, of which types, and how they become a prompt that fits.

      task service ── a pool of tasks at a time ──► References ── drawn by the group's own seed ──► Ask ──► prompt

A pool is used until each of its tasks was shown about once, then fetched anew; so a call to the service is shared by
dozens of proposals, and what entered the buffers a moment ago is seen a moment later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from azr.config.sections.gating_rules import SEEDED
from azr.game.tasks import Ask, TaskType
from azr.game.tasks.base import program_is_given
from azr.game.tasks.composite import components_of
from azr.game.types import Task

#: Types whose programs serve proposers that work on a given program: one pair, nothing hidden.
_PLAIN = ("deduction", "abduction")

#: Proposals that an old pool serves on when no new one could be fetched, before the next try.
_USES_AFTER_FAILURE = 8

#: Composite functions call so many given ones at most.
_MOST_COMPONENTS = 2

Fetch = Callable[[Sequence[str], int], Awaitable[list[Task]]]


def sources_of(kind: TaskType, task_types: Sequence[str]) -> tuple[str, ...]:
    """Of which types the tasks are that a proposer of this type is shown.

    Its own, except where it cannot be asked without one: induction would otherwise turn its first few programs over for
    ever, and never see a new one, a composite function cannot be a component of another, and a type that is not seeded
    would wait for a first task of its own without end.
    """
    if kind.least_references == 0:
        return (kind.name,)
    plain = tuple(name for name in task_types if name in _PLAIN)
    if plain or kind.name in SEEDED:
        return plain or (kind.name,)
    return tuple(name for name in task_types if name != kind.name) or (kind.name,)


class References:
    """Known tasks at hand, by the types that they are shown for."""

    def __init__(self, fetch: Fetch, pool: int, failed: Callable[[Exception], None]) -> None:
        """`failed` hears of a pool that could not be fetched where an old one serves on; else whoever waits does."""
        self._fetch, self._failed = fetch, failed
        self._size = pool
        self._pools: dict[tuple[str, ...], list[Task]] = {}
        self._uses: dict[tuple[str, ...], int] = {}
        self._fetching: dict[tuple[str, ...], asyncio.Future[None]] = {}

    async def pool(self, sources: tuple[str, ...], shown: int) -> list[Task]:
        """Tasks to draw from, of which each proposal shows so many."""
        fetching = self._fetching.get(sources)
        if fetching is None and self._uses.get(sources, 0) <= 0:
            fetching = self._fetching[sources] = asyncio.ensure_future(self._renew(sources, shown))
        if fetching is not None and not self._pools.get(sources):
            await asyncio.shield(fetching)  # the first pool is waited for; later ones come while the old one serves
        self._uses[sources] = self._uses.get(sources, 0) - 1
        return self._pools.get(sources, [])

    async def _renew(self, sources: tuple[str, ...], shown: int) -> None:
        try:
            if fetched := await self._fetch(sources, self._size):
                self._pools[sources] = fetched
                self._uses[sources] = max(1, self._size // max(1, shown))
        except Exception as error:
            if not self._pools.get(sources):
                raise
            self._uses[sources] = _USES_AFTER_FAILURE
            self._failed(error)
        finally:
            del self._fetching[sources]


def draw_ask(kind: TaskType, pool: Sequence[Task], count: int, inputs: int, random: np.random.Generator) -> Ask:
    """An Ask with so many tasks of the pool, or all there are; no more than are shown where a program is given."""
    count = kind.least_references if program_is_given(kind) else count
    chosen = random.choice(len(pool), size=min(count, len(pool)), replace=False).tolist() if pool else []
    shown = tuple(pool[index] for index in chosen)
    if kind.name != "composite":
        return Ask(references=shown, inputs=inputs)
    given = [pool[index] for index in random.permutation(len(pool)).tolist()]
    return Ask(references=shown, components=components_of(given, int(random.integers(1, _MOST_COMPONENTS + 1))))
