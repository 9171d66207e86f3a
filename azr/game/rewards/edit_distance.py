"""`edit_distance`: how far the program's structure is from the programs shown to its proposer.

The published code diffs indented JSON dumps of syntax trees with `difflib`, quadratic in their length: 32 ms a pair
at seed size, 240 ms at 1,900 characters. Here the sandbox reports the node kinds of the normalised tree in order,
and the distance is Indel (insertions and deletions) over them, 1 - 2·LCS/(a + b), the measure that `difflib`'s ratio
approximates, by a bit-parallel algorithm: one big-integer step a token, so a few hundred microseconds for a thousand
tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from azr.game.rewards.term import RatedProposal, facts_of

#: Tokens of a program that are looked at. The gate lets far shorter programs in; this bounds the time, whatever it
#: does.
MAX_TOKENS = 4096


def common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest common subsequence (Hyyrö's bit-vector form: a row of the table is one integer)."""
    positions: dict[str, int] = {}
    for index, token in enumerate(first):
        positions[token] = positions.get(token, 0) | 1 << index
    full = (1 << len(first)) - 1
    row = full  # a zero bit at i: the subsequence grows by one within the first i + 1 tokens
    for token in second:
        matches = row & positions.get(token, 0)
        row = (row + matches | row - matches) & full
    return len(first) - row.bit_count()


def distance(first: Sequence[str], second: Sequence[str]) -> float:
    """0 for equal token sequences, 1 for sequences that share none."""
    first, second = first[:MAX_TOKENS], second[:MAX_TOKENS]
    total = len(first) + len(second)
    return 1.0 - 2.0 * common_subsequence(first, second) / total if total else 0.0


class EditDistance:
    """Mean distance to the references; 1 without any, as nothing was there to copy."""

    def values(self, batch: Sequence[RatedProposal]) -> list[float]:
        """One value a proposal."""
        return [self._value(proposal) for proposal in batch]

    @staticmethod
    def _value(proposal: RatedProposal) -> float:
        tokens = facts_of(proposal, "edit_distance").tokens
        if not proposal.references:
            return 1.0
        return fmean(distance(tokens, reference.tokens) for reference in proposal.references)
