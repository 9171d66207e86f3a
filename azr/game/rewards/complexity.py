"""`complexity`: cognitive complexity of the program, over 15 (the published scale)."""

from __future__ import annotations

from collections.abc import Sequence

from azr.game.rewards.term import RatedProposal, facts_of


class Complexity:
    """Cognitive complexity / `scale`."""

    judges_program = True

    def __init__(self, scale: float = 15.0) -> None:
        """15 is where linters begin to call a function too complex, and the published divisor."""
        if not scale > 0:
            raise ValueError(f"scale must be positive, not {scale}")
        self.scale = scale

    def values(self, batch: Sequence[RatedProposal]) -> list[float]:
        """One value a proposal."""
        return [facts_of(proposal, "complexity").cognitive / self.scale for proposal in batch]
