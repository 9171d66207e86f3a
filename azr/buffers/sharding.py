"""Which shard a task lives in.

Called by the task service's clients. A shard is a whole `TaskBuffer` of its own; nothing is shared between shards.
Players draw from them in turn, whatever their priorities sum up to: docs/decisions/buffers.md says why.
"""

from __future__ import annotations

import hashlib


def shard_of(key: str, shards: int) -> int:
    """The shard of a key: the same in every process and on every machine.

    Tasks go by `Task.normal_form`, so that two tasks of one program, and with them all duplicates, meet in one shard.
    """
    return int.from_bytes(hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") % shards
