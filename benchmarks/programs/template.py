"""A program with blanks: a few ways to fill them in, and a way to draw its inputs."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

Generator = np.random.Generator
Draw = Callable[[Generator], str]

# fmt: off
_WORDS = (
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "haven", "inlet",
    "jetty", "karst", "ledge", "maple", "north", "ochre", "plume", "quarry", "ridge",
    "slate", "tundra", "umber", "vale", "willow", "xylem", "yarrow", "zephyr",
)
# fmt: on


@dataclass(frozen=True)
class Template:
    """`source` with `$blanks`, the ways to fill them, and how to draw the text of a call's arguments."""

    name: str
    source: str
    fillings: tuple[dict[str, str], ...]
    draw: Draw

    def programs(self) -> Iterator[tuple[str, str]]:
        """Name and text of each program."""
        for number, filling in enumerate(self.fillings):
            yield f"{self.name}-{number}", string.Template(self.source).substitute(filling).strip() + "\n"


def blanks(name: str, *values: str) -> tuple[dict[str, str], ...]:
    """Fillings for a template with one blank."""
    return tuple({name: value} for value in values)


def word(rng: Generator) -> str:
    """One word."""
    return _WORDS[int(rng.integers(len(_WORDS)))]


def sentence(low: int = 3, high: int = 9) -> Draw:
    """Draws a sentence of words, some of them capitalised, as a string literal."""

    def draw(rng: Generator) -> str:
        words = [word(rng) for _ in range(int(rng.integers(low, high)))]
        return repr(" ".join(one.title() if rng.random() < 0.3 else one for one in words))

    return draw


def words(low: int = 3, high: int = 10) -> Draw:
    """Draws a list of words."""
    return lambda rng: repr([word(rng) for _ in range(int(rng.integers(low, high)))])


def relatives(rng: Generator) -> str:
    """Draws a list of words that begin alike."""
    stem = word(rng) + word(rng)[: int(rng.integers(5))]
    return repr([stem + word(rng)[: int(rng.integers(1, 6))] for _ in range(int(rng.integers(2, 6)))])


def integer(low: int, high: int) -> Draw:
    """Draws an integer, `high` excluded."""
    return lambda rng: repr(int(rng.integers(low, high)))


def integers(low: int, high: int, fewest: int = 4, most: int = 16) -> Draw:
    """Draws a list of integers."""
    return lambda rng: repr([int(one) for one in rng.integers(low, high, size=int(rng.integers(fewest, most)))])


def matrix(low: int = -9, high: int = 10) -> Draw:
    """Draws a list of rows of equal length."""

    def draw(rng: Generator) -> str:
        rows, columns = (int(size) for size in rng.integers(2, 5, size=2))
        return repr([[int(one) for one in rng.integers(low, high, size=columns)] for _ in range(rows)])

    return draw


def counts(low: int = 0, high: int = 50) -> Draw:
    """Draws a dictionary from words to integers."""
    return lambda rng: repr({word(rng): int(rng.integers(low, high)) for _ in range(int(rng.integers(3, 8)))})


def both(*draws: Draw) -> Draw:
    """Draws several arguments."""
    return lambda rng: ", ".join(draw(rng) for draw in draws)
