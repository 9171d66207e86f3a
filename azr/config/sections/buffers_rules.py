"""What the task buffers may not be set to, with reason and mend. Called by `azr.config.rules`."""

from __future__ import annotations

from collections.abc import Iterator

from azr.config.sections.buffers import BuffersConfig

SELECTIONS = ("learnability", "uniform")


def problems(buffers: BuffersConfig) -> Iterator[tuple[str, str, str]]:
    """Everything wrong with the section, as (key, what is wrong, how to mend it)."""
    if buffers.selection not in SELECTIONS:
        yield "buffers.selection", f"{buffers.selection!r} is not known", f"choose one of {', '.join(SELECTIONS)}"
    for name, low in (("capacity", 1), ("new_steps", 0), ("rest_steps", 0), ("out_steps", 0), ("reference_pool", 1)):
        if (number := getattr(buffers, name)) < low:
            yield f"buffers.{name}", f"{number} is out of range", f"it must be at least {low}"
    for name in ("age_half_life", "reference_half_life"):
        if not getattr(buffers, name) > 0.0:
            yield f"buffers.{name}", f"{getattr(buffers, name)} is out of range", "it must be above 0"
    if buffers.rest_steps > buffers.new_steps:
        yield (
            "buffers.rest_steps",
            f"a task rests {buffers.rest_steps} steps but is new for {buffers.new_steps} only, so it never comes first",
            "lower it, or raise buffers.new_steps",
        )
