"""How intrinsic terms join learnability: each weighed and capped, then summed or multiplied. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

Combination = Callable[[float, Sequence[float]], float]


def capped(value: float, coefficient: float, cap: float) -> float:
    """coefficient · value, held to [-cap, cap]."""
    return max(-cap, min(coefficient * value, cap))


def add(learnability: float, terms: Sequence[float]) -> float:
    """L + Σt."""
    return learnability + math.fsum(terms)


def multiply(learnability: float, terms: Sequence[float]) -> float:
    """L · Πt."""
    return learnability * math.prod(terms)


def sum_multiply(learnability: float, terms: Sequence[float]) -> float:
    """L + Πt."""
    return learnability + math.prod(terms)


def multiply_sum(learnability: float, terms: Sequence[float]) -> float:
    """L · Σt."""
    return learnability * math.fsum(terms)


COMBINATIONS: dict[str, Combination] = {
    "sum": add,
    "multiply": multiply,
    "sum_multiply": sum_multiply,
    "multiply_sum": multiply_sum,
}
