"""What the task buffers may not be set to, with reason and mend. Called by `azr.config.rules`."""

from __future__ import annotations

import math
from collections.abc import Iterator

from azr.config.sections.buffers import BuffersConfig
from azr.config.sections.checking import Problem, at_least, one_of

SELECTIONS = ("learnability", "uniform")


def problems(buffers: BuffersConfig, publish_every: int, *, rating_trained: bool) -> Iterator[Problem]:
    """Everything wrong with the section.

    Where draws are by learnability and ratings are trained on, a task that nobody rated comes first at any age.
    """
    yield from one_of("buffers.selection", buffers.selection, SELECTIONS)
    for name, low in (("capacity", 1), ("new_steps", 0), ("rest_steps", 0), ("out_steps", 0), ("reference_pool", 1)):
        yield from at_least(f"buffers.{name}", getattr(buffers, name), low)
    for name in ("age_half_life", "reference_half_life"):
        if not getattr(buffers, name) > 0.0:
            yield Problem(f"buffers.{name}", f"{getattr(buffers, name)} is out of range", "it must be above 0")
    for name, high in (("novelty_exponent", math.inf), ("visit_exponent", math.inf), ("reference_floor", 1.0)):
        if not (0.0 <= (share := getattr(buffers, name)) <= high and math.isfinite(share)):
            mend = "it must be a number of at least 0" if high == math.inf else f"it must be between 0 and {high:g}"
            yield Problem(f"buffers.{name}", f"{share} is out of range", mend)
    if buffers.rest_steps > buffers.new_steps:
        yield Problem(
            "buffers.rest_steps",
            f"a task rests {buffers.rest_steps} steps but is new for {buffers.new_steps} only, so it never comes first",
            "lower it, or raise buffers.new_steps",
        )
    elif (buffers.selection == "uniform" or not rating_trained) and (
        0 < buffers.rest_steps <= buffers.new_steps < (rested := _told_after(buffers.rest_steps, publish_every))
    ):
        yield Problem(
            "buffers.new_steps",
            f"buffers are told of one step in {publish_every} only (weights.publish_every), so that a task has rested "
            f"after {rested} steps but is new for {buffers.new_steps}, and never comes first",
            f"set it to {rested} or more, or weights.publish_every to {buffers.new_steps} at most",
        )


def _told_after(steps: int, publish_every: int) -> int:
    """The age at which a task is first seen to be of so many steps."""
    return -(-steps // max(1, publish_every)) * max(1, publish_every)
