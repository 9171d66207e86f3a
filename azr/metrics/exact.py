"""Sums of floats that do not depend on the order or the sharding of what is summed.

A float sum rounds at each step, so that two runs with another number of shards would print different numbers. Here
the sum is kept without rounding as a few floats that do not overlap (Shewchuk's expansion); only reading it rounds,
once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable


def added(parts: list[float], value: float) -> list[float]:
    """The expansion of the sum of `parts` and one more finite value."""
    result: list[float] = []
    for part in parts:
        large, small = (value, part) if abs(value) >= abs(part) else (part, value)
        value = large + small
        rest = small - (value - large)
        if rest:
            result.append(rest)
    result.append(value)
    return result


def joined(first: list[float], second: Iterable[float]) -> list[float]:
    """The expansion of the sum of two expansions."""
    for part in second:
        first = added(first, part)
    return first


def rounded(parts: list[float]) -> float:
    """The sum as the nearest float."""
    return math.fsum(parts)
