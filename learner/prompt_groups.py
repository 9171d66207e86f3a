"""Samples that answer one prompt, kept together, so that the prompt is computed once for all of them.

Owns how a step's samples are dealt into mini-batches and cut into the units that packing moves about. Called by
`learner.trainer`.

    samples   p q p r q p        groups  [p p p] [q q] [r]        in seeded order
                                 deal    [p p p] | [q q r]        mini-batches, cut between groups
                                 units   [p p p]   [q q] [r]      a unit is never cut between micro-batches
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np

from learner.samples import Sample


def by_prompt(samples: Sequence[Sample], members: Sequence[int]) -> list[list[int]]:
    """The members whose prompts are the same tokens, in the order of their first.

    The tokens alone say so: two groups of attempts at one task share its prompt as well.
    """
    groups: dict[bytes, list[int]] = {}
    for member in members:
        groups.setdefault(samples[member].prompt_ids.tobytes(), []).append(member)
    return list(groups.values())


def deal(groups: Sequence[Sequence[int]], parts: int, generator: np.random.Generator) -> list[list[int]]:
    """All groups' members in a drawn order of the groups, cut into at most `parts` parts of nearly equal size.

    A cut moves to the nearest end of a group, unless no end is nearer than half a part: a group that is larger than a
    part is cut itself. Parts that would be empty are left out.
    """
    drawn = [groups[place] for place in generator.permutation(len(groups))]
    flat = [member for group in drawn for member in group]
    ends = np.array([0, *accumulate(len(group) for group in drawn)])
    cuts = [0]
    for part in range(1, parts):
        wanted = part * len(flat) / parts
        nearest = int(ends[np.abs(ends - wanted).argmin()])
        cuts.append(nearest if abs(nearest - wanted) < len(flat) / parts / 2 else round(wanted))
    cuts.append(len(flat))
    return [flat[start:end] for start, end in pairwise(cuts) if end > start]


def units(samples: Sequence[Sample], members: Sequence[int], budget: int, *, share: bool) -> list[tuple[int, ...]]:
    """What is packed as one: the members of a group, as many as the budget of tokens holds; each alone without `share`.

    A member that is too long alone makes a unit of its own, which packing refuses.
    """
    if not share:
        return [(member,) for member in members]
    found: list[tuple[int, ...]] = []
    for group in by_prompt(samples, members):
        trunk = len(samples[group[0]].prompt_ids)
        unit: list[int] = []
        room = 0
        for member in group:
            branch = samples[member].inputs - trunk
            if not unit or branch > room:
                found += [tuple(unit)] if unit else []
                unit, room = [], budget - trunk
            unit.append(member)
            room -= branch
        found.append(tuple(unit))
    return found


def tokens_of(samples: Sequence[Sample], unit: Sequence[int]) -> int:
    """What a unit takes in a row: the prompt once, and the responses."""
    trunk = len(samples[unit[0]].prompt_ids)
    return trunk + sum(samples[member].inputs - trunk for member in unit)
