"""Interleaved rounds: contenders take turns, so that what slows the machine slows them all alike.

round 1   A B C      the order turns by one each round, so that nobody always runs
round 2   B C A      on the caches that the same neighbour left warm or cold
round 3   C A B
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

Measured = TypeVar("Measured")
Contender = TypeVar("Contender")


def interleave(
    contenders: Mapping[str, Callable[[], Measured]],
    rounds: int,
    *,
    warm_up: int = 1,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, list[Measured]]:
    """What each contender measured in each round. The first `warm_up` turns of each are thrown away."""
    if rounds < 1:
        raise ValueError(f"{rounds} rounds measure nothing; ask for at least one")
    measured: dict[str, list[Measured]] = {name: [] for name in contenders}
    for turn in range(warm_up + rounds):
        for name in turned(list(contenders), turn):
            progress(f"{'warming up' if turn < warm_up else f'round {turn - warm_up + 1}/{rounds}'}: {name}")
            value = contenders[name]()
            if turn >= warm_up:
                measured[name].append(value)
    return measured


def cpu_seconds() -> float:
    """Processor time of this process and of all children it has waited for, user and system.

    Processor time, unlike the clock on the wall, does not count what neighbours on the machine take away.
    """
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def turned(contenders: Sequence[Contender], by: int) -> Iterator[Contender]:
    """All of them in their order, begun so many places further on."""
    return (contenders[(index + by) % len(contenders)] for index in range(len(contenders)))
