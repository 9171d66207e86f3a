"""Which trained samples a resume may hand out again: the only ones whose bodies the books still hold.

A body is a sample's encoded trajectory, many times as large as what the books say of it. Asked by
`azr.ledger.book` when a step is committed and when checkpoints go, and by `azr.ledger.experience` at a resume. Pure.

      v: the newest weights that had a part in a group      t: the step that trained on it      c: a checkpoint

           c < v            a resume at c loses those weights, and the group with them: dropped, `lineage`
           v ≤ c ≤ t        a resume at c undoes step t and keeps the weights: the group is in flight again
           t < c            a resume at c leaves step t as it is

docs/staleness.md proves how much that is at most.
"""

from __future__ import annotations

from collections.abc import Iterable

from azr.game.types import Version


def may_return(versions: Iterable[Version], trained: int, checkpoints: Iterable[int]) -> bool:
    """Whether a resume at one of these checkpoints hands out again what these weights made and this step trained on."""
    newest = max(version.step for version in versions)
    return any(newest <= checkpoint <= trained for checkpoint in checkpoints)
