"""Watches whether long responses vanish: the shares swept as stale, by length quartile.

Fed by `azr.ledger.experience` with every sample that leaves for training or is swept. Long answers take long, so they
are what a staleness bound sweeps first; when a visible share of them goes, what is trained on is no longer what the
policy does. The cure is a larger bound, fewer lanes, or shorter answers; the alarm that `azr.run.gathering` makes of
the shares says that one is needed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np


class SweptByLength:
    """Looks back on the last `window` samples that left."""

    def __init__(self, window: int = 4096) -> None:
        self._samples: deque[tuple[int, bool]] = deque(maxlen=window)

    def observe(self, lengths: Iterable[int], *, swept: bool) -> None:
        """Samples left: for training, or swept."""
        self._samples.extend((length, swept) for length in lengths)

    def shares(self) -> tuple[float, ...]:
        """Share swept in each quartile of length, shortest first; zeros when nothing has left.

        Samples are ranked, equal lengths in the order in which they left, so that each quartile holds a quarter.
        """
        if not self._samples:
            return (0.0,) * 4
        lengths, swept = (np.array(column) for column in zip(*self._samples, strict=True))
        by_length = swept[np.argsort(lengths, kind="stable")].astype(float)
        return tuple(float(part.mean()) if len(part) else 0.0 for part in np.array_split(by_length, 4))
