"""Putting a propose prompt together so that it fits: over-long references are drawn again, never cut.

    draw(count) ─► Ask ─► prompt ─► short enough? ──yes──► Composition
        ▲                               │
        └── again; then fewer ◄──no─────┘         still none fits ──► PromptTooLongError, naming the lengths

Called by proposers and seeding; whoever calls owns the randomness, inside `draw`, and the tokenizer, as `length`.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from azr.errors import AzrError
from azr.game.frames import Frame
from azr.game.play import propose_prompt
from azr.game.tasks import Ask, TaskType

#: Draws at one number of references before fewer are tried.
REDRAWS = 8


class PromptTooLongError(AzrError):
    """No drawn references make a prompt that fits."""


class Composition(msgspec.Struct, frozen=True):
    """A prompt that fits, and what it was made of."""

    prompt: str
    ask: Ask
    length: int


def compose_proposal(
    kind: TaskType,
    frame: Frame,
    draw: Callable[[int], Ask],
    *,
    references: int,
    length: Callable[[str], int],
    limit: int,
    redraws: int = REDRAWS,
) -> Composition:
    """A propose prompt of at most `limit`, with `references` known tasks, or fewer where so many do not fit."""
    thrown_away, shortest = 0, None
    count = max(references, kind.least_references)
    while True:
        for _ in range(redraws):
            ask = draw(count)
            prompt = propose_prompt(kind, ask, frame)
            measured = length(prompt)
            if measured <= limit:
                return Composition(prompt, ask, measured)
            thrown_away += 1
            shortest = measured if shortest is None else min(shortest, measured)
        if count <= kind.least_references:
            raise PromptTooLongError(
                f"no {kind.name} proposal fits into {limit} tokens; the shortest of {thrown_away} had {shortest}",
                "raise the limit on prompts, or let the gate refuse such long programs",
            )
        count = max(kind.least_references, count // 2)
