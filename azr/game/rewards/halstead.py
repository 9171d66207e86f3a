"""`halstead`: effort, branching and volume of the program, mixed as published."""

from __future__ import annotations

from collections.abc import Sequence

from azr.game.rewards.term import RatedProposal, facts_of
from sandbox_wasm.protocol import Facts

#: Published weights and scales: (weight, value at which the part is full).
EFFORT = (0.5, 10_000.0)
CYCLOMATIC = (0.3, 10.0)
VOLUME = (0.2, 500.0)


def halstead(facts: Facts) -> float:
    """½·min(effort/10⁴, 1) + 0.3·min(cyclomatic/10, 1) + 0.2·min(volume/500, 1)."""
    parts = ((EFFORT, facts.halstead_effort), (CYCLOMATIC, facts.cyclomatic), (VOLUME, facts.halstead_volume))
    return sum(weight * min(value / full, 1.0) for (weight, full), value in parts)


class Halstead:
    """The published mixture."""

    judges_program = True

    def values(self, batch: Sequence[RatedProposal]) -> list[float]:
        """One value a proposal."""
        return [halstead(facts_of(proposal, "halstead")) for proposal in batch]
