"""What the section `actors` may not be set to, and what must fit the batch and the leases beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from azr.config.sections.actors import ActorsConfig
from azr.config.sections.algorithm import AlgorithmConfig

SYNCS = ("commit", "interval", "never")

#: Heartbeats that fit into a silence or a grace: one may be lost, another late.
BEATS = 2


def problems(actors: ActorsConfig, algorithm: AlgorithmConfig) -> Iterator[tuple[str, str, str]]:
    """Everything wrong with the section, as (key, what is wrong, how to mend it)."""
    if actors.journal_sync not in SYNCS:
        yield "actors.journal_sync", f"{actors.journal_sync!r} is not known", f"choose one of {', '.join(SYNCS)}"
    for field in fields(actors):
        value = getattr(actors, field.name)
        low = 1 if isinstance(value, int) else 0.01
        if not isinstance(value, str) and not value >= low:
            yield f"actors.{field.name}", f"{value} is out of range", f"it must be at least {low}"
    for key, seconds in (("silence_seconds", actors.silence_seconds), ("grace_seconds", actors.grace_seconds)):
        if seconds < BEATS * actors.heartbeat_seconds:
            yield (
                f"actors.{key}",
                f"{seconds:g} s leave no time for {BEATS} heartbeats of {actors.heartbeat_seconds:g} s: work would be "
                "taken from who is at it",
                "raise it, or lower actors.heartbeat_seconds",
            )
    groups = algorithm.batch.solve // max(1, algorithm.batch.attempts_per_task)
    if actors.experience_shards > max(1, groups):
        yield (
            "actors.experience_shards",
            f"{groups} groups of attempts a step cannot be shared out over {actors.experience_shards} shards",
            "lower it, or raise algorithm.batch.solve",
        )
