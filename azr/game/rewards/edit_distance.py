"""`edit_distance`: how far the program's structure is from the programs shown to its proposer.

The published code diffs indented JSON dumps of syntax trees with `difflib`, quadratic in their length: 32 ms a pair
at seed size, 240 ms at 1,900 characters. Here the sandbox reports the node kinds of the normalised tree in order,
and the distance is Indel (insertions and deletions) over them, 1 - 2·LCS/(a + b), the measure that `difflib`'s ratio
approximates, by a bit-parallel algorithm: one big-integer step a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from azr.game.rewards.term import MAX_TOKENS, RatedProposal, facts_of


def common_subsequences(program: Sequence[str], others: Sequence[Sequence[str]]) -> list[int]:
    """Length of the longest common subsequence of the program with each of the others.

    Hyyrö's bit-vector form: one row of the dynamic-programming table is one integer, and a zero bit at i says that the
    subsequence grows by one within the first i + 1 tokens. The rows of all others lie side by side in that integer, a
    bit apart that takes the carry, so that one pass over the program serves them all.
    """
    positions: dict[str, int] = {}
    starts: list[int] = []
    full = end = 0
    for other in others:
        starts.append(end)
        for index, token in enumerate(other, end):
            positions[token] = positions.get(token, 0) | 1 << index
        full |= ((1 << len(other)) - 1) << end
        end += len(other) + 1
    row = full
    for token in program:
        matches = row & positions.get(token, 0)
        row = (row + matches | row - matches) & full
    lengths = [len(other) for other in others]
    return [
        length - (row >> start & (1 << length) - 1).bit_count() for start, length in zip(starts, lengths, strict=True)
    ]


def distances(program: Sequence[str], others: Sequence[Sequence[str]]) -> list[float]:
    """To each of the others: 0 for equal token sequences, 1 for sequences that share none."""
    program, others = program[:MAX_TOKENS], [other[:MAX_TOKENS] for other in others]
    return [
        1.0 - 2.0 * common / total if (total := len(program) + len(other)) else 0.0
        for common, other in zip(common_subsequences(program, others), others, strict=True)
    ]


class EditDistance:
    """Mean distance to the references; 1 without any, as nothing was there to copy."""

    judges_program = True

    def values(self, batch: Sequence[RatedProposal]) -> list[float]:
        """One value a proposal."""
        return [self._value(proposal) for proposal in batch]

    @staticmethod
    def _value(proposal: RatedProposal) -> float:
        tokens = facts_of(proposal, "edit_distance").tokens
        if not proposal.references:
            return 1.0
        return fmean(distances(tokens, [reference.tokens for reference in proposal.references]))
