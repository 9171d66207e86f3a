"""The task buffers as the run sees them: one thing, whatever its shards. Blocking; travels to other processes."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from actors.services.calls import Service
from actors.services.experience_client import unpacked
from actors.services.records import Standing
from actors.services.task_service import Stock
from azr.buffers import shard_of
from azr.game.types import Task, Version
from azr.journal.tasks import Written


class TaskClient:
    """All shards of the task buffers."""

    def __init__(self, shards: Sequence[Service]) -> None:
        self.shards = tuple(shards)

    def add_many(self, tasks: Sequence[Task]) -> list[bool]:
        """Take in tasks that nobody attempts yet, such as seeds; False for each that is held already."""
        new = [False] * len(tasks)
        for shard, places in places_by_shard(tasks, len(self.shards)).items():
            flags = self.shards[shard].call("add_many", [tasks[place] for place in places], False, mark_again=True)
            for place, flag in zip(places, flags, strict=True):
                new[place] = flag
        return new

    def advance(self, step: int) -> None:
        """The learner is at this step: tasks and estimates have aged."""
        for shard in self.shards:
            shard.call("advance", step)

    def resume(self, at: Version) -> None:
        """The learner went back to this step, and goes on under this lineage: time runs from there again."""
        for shard in self.shards:
            shard.call("resume", at)

    def count(self) -> int:
        """How many tasks are held."""
        return sum(shard.call("ready") for shard in self.shards)

    def snapshot(self) -> bytes:
        """Everything, for a checkpoint."""
        return msgspec.msgpack.encode([shard.call("snapshot") for shard in self.shards])

    def lost(self, snapshot: bytes | None) -> list[str]:
        """Names of the shards whose journal knows nothing, or less than the snapshot of a checkpoint.

        Lineage and step together never fall, and whatever a snapshot tells was in its journal before.
        """
        told = [Version(0, 0)] * len(self.shards)
        if snapshot is not None:
            told = [msgspec.msgpack.decode(part, type=Written).reached for part in self._unpacked(snapshot)]
        stand: list[Standing] = [shard.call("stands") for shard in self.shards]
        return [
            shard.name
            for shard, at, reached in zip(self.shards, stand, told, strict=True)
            if at.untouched or at.reached < reached
        ]

    def restore(self, snapshot: bytes, shards: Collection[str] = ()) -> None:
        """Take up from a checkpoint's snapshot: the shards of these names, or all."""
        for shard, part in zip(self.shards, self._unpacked(snapshot), strict=True):
            if not shards or shard.name in shards:
                shard.call("restore", part)

    def statistics(self) -> list[Stock]:
        """What each shard holds."""
        return [shard.call("statistics") for shard in self.shards]

    def _unpacked(self, snapshot: bytes) -> list[bytes]:
        return unpacked(snapshot, len(self.shards), "actors.task_shards")


def places_by_shard(tasks: Sequence[Task], shards: int) -> dict[int, list[int]]:
    """Where in the sequence the tasks of each shard stand."""
    places: dict[int, list[int]] = {}
    for place, task in enumerate(tasks):
        places.setdefault(shard_of(task.normal_form, shards), []).append(place)
    return places
