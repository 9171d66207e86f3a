"""A reward term of one's own: `brevity` favours short programs.

Install this folder (`pip install --no-deps --no-build-isolation docs/examples/own_reward`) and switch the term on:

    azr train --config tiny algorithm.proposer_reward.terms.brevity.coefficient=0.1

Options of the term (`….terms.brevity.options.lines=20`) arrive as keyword arguments.
"""

from __future__ import annotations

from collections.abc import Sequence

from azr.game.rewards import RatedProposal


class Brevity:
    """1 for an empty program, falling to 0 at `lines`."""

    #: It pays for the program itself, so it is not asked where the proposer was given the program (induction).
    judges_program = True

    def __init__(self, lines: int = 40) -> None:
        self.lines = lines

    def values(self, batch: Sequence[RatedProposal]) -> list[float]:
        """One value a proposal, in order."""
        return [max(0.0, 1.0 - proposal.program.count("\n") / self.lines) for proposal in batch]
