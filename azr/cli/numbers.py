"""Numbers on the command line: types for argparse that refuse in words, before any work, what a command cannot use.

Left to itself argparse shows the name of a function (`invalid int value`), and takes what the work then stumbles over.
"""

from __future__ import annotations

import contextlib
import math
from argparse import ArgumentTypeError
from collections.abc import Callable


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """A whole number between these two, both included."""

    def number(text: str) -> int:
        with contextlib.suppress(ValueError):
            value = int(text)
            if value >= least and (most is None or value <= most):
                return value
        bounds = f"of at least {least}" if most is None else f"between {least} and {most}"
        raise ArgumentTypeError(f"{text!r} is no whole number {bounds}")

    return number


def positive(most: float = math.inf) -> Callable[[str], float]:
    """A finite number above 0."""

    def number(text: str) -> float:
        with contextlib.suppress(ValueError):
            value = float(text)
            if 0 < value <= most and math.isfinite(value):
                return value
        bound = "" if most == math.inf else f" and at most {most:g}"
        raise ArgumentTypeError(f"{text!r} is no number above 0{bound}")

    return number
