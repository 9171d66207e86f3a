"""Which shard a name belongs to. Called where services are started, and by their clients.

A shard of the experience is a whole experience of its own, with its part of the quotas (`azr.game.batch.divided`); so
what is proved of one (docs/staleness.md) holds of each, and of their sum.

Names of groups and addresses of tasks begin with the number of their shard: `2.solver-0@5f/17`. Whoever holds a name
knows whom to ask, and nobody keeps a directory.
"""

from __future__ import annotations

from azr.config.sections.algorithm import AlgorithmConfig
from azr.errors import ConfigError

#: Stands between the number of a shard and the rest of a name.
MARK = "."


def check_shards(algorithm: AlgorithmConfig, shards: int) -> None:
    """Refuse more shards than there are groups of attempts to share out."""
    groups = algorithm.batch.solve // algorithm.batch.attempts_per_task
    if shards < 1 or groups < shards:
        raise ConfigError(
            f"{groups} groups of attempts a step cannot be shared out over {shards} shards of the experience",
            "set actors.experience_shards to at least 1 and at most that number of groups",
        )


def named(shard: int, name: str) -> str:
    """The name as one of this shard."""
    return f"{shard}{MARK}{name}"


def shard_of_name(name: str) -> int:
    """The shard that a name belongs to."""
    shard, mark, _ = name.partition(MARK)
    if not mark or not shard.isdigit():
        raise ValueError(f"{name!r} names no shard")
    return int(shard)


def plain_name(name: str) -> str:
    """The name without its shard."""
    return name.partition(MARK)[2]
