"""Samples for the tests of advantages, written as short tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from azr.advantages import Samples
from azr.game.types import Cell

SOLVE = Cell("deduction", "solve")
PROPOSE = Cell("deduction", "propose")


def samples(*rows: tuple[Cell, str, float, int]) -> Samples:
    """Rows of cell, group, reward, response tokens."""
    cells = list(dict.fromkeys(cell for cell, *_ in rows))
    groups = list(dict.fromkeys((cell, group) for cell, group, *_ in rows))
    return Samples(
        cells=tuple(cells),
        cell=np.array([cells.index(cell) for cell, *_ in rows], dtype=np.int64),
        group=np.array([groups.index((cell, group)) for cell, group, *_ in rows], dtype=np.int64),
        rewards=np.array([reward for *_, reward, _ in rows], dtype=np.float64),
        lengths=np.array([length for *_, length in rows], dtype=np.int64),
    )


def attempts(*groups: Sequence[float], cell: Cell = SOLVE) -> Samples:
    """Groups of attempts in one cell, by their rewards; each response has one token."""
    return samples(*((cell, f"task {index}", reward, 1) for index, group in enumerate(groups) for reward in group))
