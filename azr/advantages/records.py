"""What every estimator takes and gives: frozen records of numpy arrays, one entry a sequence.

The reward comes at the end of a response and is not discounted (γ = 1), so the return at every one of its tokens is
that reward and the advantage is the same for each: one number a sequence says it all, and the learner spreads it.

    trajectories ──Samples.of──► Samples ──estimator──► Advantages ──► learner
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from azr.game.types import Cell, Trajectory

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Samples:
    """The sequences of a batch as far as advantages care."""

    cells: tuple[Cell, ...]
    """The cells that occur."""
    cell: Integers
    """Index into `cells` of each sequence."""
    group: Integers
    """A number equal for the sequences of one group (attempts at one task), 0 … groups - 1."""
    rewards: Floats
    lengths: Integers
    """Response tokens of each sequence."""

    def __post_init__(self) -> None:
        count = len(self.rewards)
        for name in ("cell", "group", "lengths"):
            if len(getattr(self, name)) != count:
                raise ValueError(f"{name} has {len(getattr(self, name))} entries for {count} rewards")
        if not np.isfinite(self.rewards).all():
            bad = np.flatnonzero(~np.isfinite(self.rewards))
            raise ValueError(f"the rewards of sequences {bad.tolist()} are not finite: their reward term is broken")

    @classmethod
    def of(cls, trajectories: Iterable[Trajectory]) -> Samples:
        """The samples of these trajectories, in their order."""
        cells: dict[Cell, int] = {}
        groups: dict[tuple[int, str], int] = {}
        rows: list[tuple[int, int, float, int]] = []
        for trajectory in trajectories:
            cell = cells.setdefault(trajectory.cell, len(cells))
            group = groups.setdefault((cell, trajectory.group), len(groups))
            rows.append((cell, group, trajectory.reward, len(trajectory.response_ids)))
        columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
        return cls(
            cells=tuple(cells),
            cell=np.array(columns[0], dtype=np.int64),
            group=np.array(columns[1], dtype=np.int64),
            rewards=np.array(columns[2], dtype=np.float64),
            lengths=np.array(columns[3], dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.rewards)

    def only(self, chosen: Flags) -> Samples:
        """The chosen sequences; groups are renumbered, cells keep their index."""
        _, group = np.unique(self.group[chosen], return_inverse=True)
        return Samples(
            cells=self.cells,
            cell=self.cell[chosen],
            group=group.astype(np.int64),
            rewards=self.rewards[chosen],
            lengths=self.lengths[chosen],
        )


@dataclass(frozen=True, slots=True)
class Statistics:
    """What an estimator may use besides the samples: the cells' moments and how sequences are weighted."""

    weights: Floats
    """Of each sequence in a mean: 1, or its length."""
    mean: Floats
    """Of each cell's rewards, running statistics blended in."""
    variance: Floats
    """Of each cell's rewards, likewise."""
    epsilon: float


@dataclass(frozen=True, slots=True)
class Advantages:
    """One advantage a sequence, and whether it carries a gradient."""

    values: Floats
    trained: Flags
    """False: the group's rewards are all equal and its own mean is the baseline, so that nothing can be learned from
    it (`rejection_sampling`: it earned nothing). The learner leaves it out; the ledger counts it as trained like the
    rest of its batch, and its share of a cell is the metric `advantage/without_variance`."""

    @classmethod
    def all_trained(cls, values: Floats) -> Advantages:
        """Every sequence carries a gradient."""
        return cls(values=values, trained=np.ones(len(values), dtype=np.bool_))
