"""Running mean and variance of each cell's rewards: what keeps a small cell's advantages steady between batches.

An asynchronous batch does not hold a fixed number of each cell, so its own statistics may rest on three samples. Each
cell therefore keeps running ones that count like `running_weight` sequences. They belong to the checkpoint: without
them a resumed run would start from the statistics of whatever comes first.

    batch moments ──blend──► used for this batch's advantages ──► kept as the running ones
                    ▲                                                  │
                    └──────────────────────────────────────────────────┘
"""

from __future__ import annotations

import msgspec

from azr.game.types import SCHEMA_VERSION, Cell


class Baseline(msgspec.Struct, frozen=True):
    """One cell's running statistics."""

    mean: float
    variance: float
    sequences: int
    """How many have gone into it since the run began."""


class Baselines(msgspec.Struct, frozen=True):
    """The running statistics of all cells; immutable, so that a step that is abandoned leaves them as they were."""

    cells: dict[str, Baseline] = {}
    schema: int = SCHEMA_VERSION

    def of(self, cell: Cell) -> Baseline | None:
        """The cell's statistics, or None before its first batch."""
        return self.cells.get(str(cell))

    def updated(self, fresh: dict[Cell, Baseline]) -> Baselines:
        """These, with some cells' statistics replaced."""
        return Baselines(cells={**self.cells, **{str(cell): baseline for cell, baseline in fresh.items()}})

    def to_bytes(self) -> bytes:
        """The form kept in a checkpoint."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def from_bytes(cls, content: bytes) -> Baselines:
        """Back from a checkpoint; a form of another version is refused."""
        baselines = msgspec.msgpack.decode(content, type=cls)
        if baselines.schema != SCHEMA_VERSION:
            raise ValueError(f"baselines have schema {baselines.schema}, this azr reads {SCHEMA_VERSION}")
        return baselines
