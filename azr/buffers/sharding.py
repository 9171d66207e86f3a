"""Which shard a task lives in, and how many draws each shard answers.

Called by the task service's clients. A shard is a whole `TaskBuffer` of its own; nothing is shared between shards.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np


def shard_of(key: str, shards: int) -> int:
    """The shard of a key: the same in every process and on every machine.

    Tasks go by `Task.normal_form`, so that two tasks of one program, and with them all duplicates, meet in one shard.
    """
    return int.from_bytes(hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") % shards


def split_draws(count: int, masses: Sequence[float], generator: np.random.Generator) -> list[int]:
    """How many of `count` draws each shard answers, given the sum of its priorities.

    Multinomial in the masses: drawing within shards in proportion to priority is then drawing in proportion over all.
    """
    total = float(sum(masses))
    if not total > 0.0:
        return [0] * len(masses)
    return [int(share) for share in generator.multinomial(count, np.asarray(masses) / total)]
