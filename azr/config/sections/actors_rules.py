"""What the section `actors` may not be set to, and what must fit the batch and the leases beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from azr.config.sections.actors import ActorsConfig
from azr.config.sections.algorithm import BatchConfig
from azr.config.sections.checking import Problem, at_least, one_of

SYNCS = ("commit", "interval", "never")

#: Heartbeats that fit into a silence or a grace: one may be lost, another late.
BEATS = 2


def problems(actors: ActorsConfig, batch: BatchConfig) -> Iterator[Problem]:
    """Everything wrong with the section."""
    yield from one_of("actors.journal_sync", actors.journal_sync, SYNCS)
    for field in fields(actors):
        value = getattr(actors, field.name)
        if not isinstance(value, str):
            yield from at_least(f"actors.{field.name}", value, 1 if isinstance(value, int) else 0.01)
    for key, seconds in (("silence_seconds", actors.silence_seconds), ("grace_seconds", actors.grace_seconds)):
        if seconds < BEATS * actors.heartbeat_seconds:
            yield Problem(
                f"actors.{key}",
                f"{seconds:g} s leave no time for {BEATS} heartbeats of {actors.heartbeat_seconds:g} s: work would be "
                "taken from who is at it",
                "raise it, or lower actors.heartbeat_seconds",
            )
    groups = batch.solve // max(1, batch.attempts_per_task)
    if actors.experience_shards > max(1, groups):
        yield Problem(
            "actors.experience_shards",
            f"{groups} groups of attempts a step cannot be shared out over {actors.experience_shards} shards",
            "lower it, or raise algorithm.batch.solve",
        )
