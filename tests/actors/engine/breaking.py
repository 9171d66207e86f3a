"""The workers' extension with a load that can be made to break off half-way, as one does that runs out of memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actors.engine.extension import WeightExtension


class BreakingExtension(WeightExtension):
    """In the place of `WeightExtension` in the tests' engine."""

    _azr_breaks_before = ""

    def azr_break_before(self, part: str) -> None:
        """The next load ends when it comes to a tensor whose name has this part."""
        self._azr_breaks_before = part

    def azr_apply(self) -> int:
        """Put what was staged into the model, or some of it."""
        if self._azr_breaks_before and self._azr_staging is not None:
            self._azr_staging.tensors = Broken(self._azr_staging.tensors, self._azr_breaks_before)
            self._azr_breaks_before = ""
        return super().azr_apply()


class Broken(list[tuple[str, Any]]):
    """Tensors that come to an end before the first whose name has a part."""

    def __init__(self, tensors: list[tuple[str, Any]], part: str) -> None:
        super().__init__(tensors)
        self._part = part

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        for name, tensor in super().__iter__():
            if self._part in name:
                raise MemoryError(f"no memory is left for {name}")
            yield name, tensor
