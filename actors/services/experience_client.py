"""The experience as the learner and the run see it: one thing, whatever its shards. Blocking; travels anywhere.

Coordinates the shards of a step: a batch is whole when each has given its part, a step is committed, published and
resumed on all. It holds no more than the parts of one batch, while others are waited for. Each part's bodies stay in
the object store of the shard's machine until the learner fetches them, once.

      take ──► shard 0 … k: part or what is lacking ──► all parts? ──► Batch      (a shard that gave its part keeps it:
      commit, publish, resume, keep ──► all shards                                 asking again gives the same)

Who waits: the learner in `take`, for its own deadline; everybody else for `actors.call_seconds` at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec
import ray
from ray.exceptions import GetTimeoutError, RayError

from actors.services.calls import Service
from actors.services.records import Books, Lack, Part, Position
from azr.errors import AzrError
from azr.game.types import Version
from azr.ledger.experience import Batch, Item
from azr.staleness.bound import Ancestry

Result = TypeVar("Result")

#: A shard keeps the learner's question so long at most, then it is asked again: time passes, and cells run dry.
PIECE_SECONDS = 1.0


class ShardMismatchError(AzrError):
    """What was written by one number of shards cannot be read by another."""


class ExperienceClient:
    """All shards of the experience."""

    def __init__(self, shards: Sequence[Service]) -> None:
        self.shards = tuple(shards)
        self._begun: tuple[Version, dict[int, list[Item]]] | None = None
        """Whose batch is waited for, and its parts so far by shard: whoever waits asks every second, and a shard that
        is asked again puts and sends all bodies of its part again."""

    def __reduce__(self) -> tuple[type[ExperienceClient], tuple[tuple[Service, ...]]]:
        return type(self), (self.shards,)

    def take(self, consumer: Version, deadline_seconds: float) -> Batch | None:
        """The batch for a learner step, bodies included; None when it is not there in time."""
        parts, lacks = self._ask(consumer, deadline_seconds)
        if lacks:
            return None
        self._begun = None  # asked again, the shards give the same again
        return Batch(consumer, [item for _, part in sorted(parts.items()) for item in part])

    def lacking(self, consumer: Version) -> str:
        """What the batch of a learner step lacks now, and who is at work on it; nothing when it is there."""
        _, lacks = self._ask(consumer, 0.0)
        return "; ".join(map(str, lacks))

    def _ask(self, consumer: Version, deadline_seconds: float) -> tuple[dict[int, list[Item]], list[Lack]]:
        """The parts of a batch that are here, and what the other shards lack when the time is over."""
        deadline = time.monotonic() + deadline_seconds
        if self._begun is None or self._begun[0] != consumer:
            self._begun = consumer, {}
        parts = self._begun[1]

        def ask(shard: int) -> Lack | None:
            part = self._part(consumer, max(0.0, min(PIECE_SECONDS, deadline - time.monotonic())), shard)
            if isinstance(part, Lack):
                return part
            parts[shard] = part  # at once: it is here, whatever another shard raises
            return None

        while missing := [shard for shard in range(len(self.shards)) if shard not in parts]:
            lacks = [lack for lack in self._each(ask, missing) if lack is not None]
            if lacks and time.monotonic() >= deadline:
                return parts, lacks
        return parts, []

    def commit(self, consumer: Version) -> None:
        """The learner's step is done, once and for all unless a resume undoes it."""
        self._all("commit", consumer)

    def publish(self, version: Version) -> None:
        """New weights generate: slots come free."""
        self._all("publish", version)

    def resume(self, at: Version, lineage: int) -> None:
        """Continue from the checkpoint of weights `at` under a lineage that is new."""
        self._begun = None
        self._all("resume", at, lineage)

    def keep(self, checkpoints: Sequence[int]) -> None:
        """A resume begins from one of the checkpoints of these steps: let go of what only others need."""
        self._all("keep", list(checkpoints))

    def lineage(self) -> Version:
        """The newest lineage that any shard knows, and the step that comes next in all of them."""
        positions = self.positions()
        return Version(
            max(position.lineage for position in positions), min(position.next_step for position in positions)
        )

    def ancestry(self) -> Ancestry:
        """The path of weights that led to the present ones, the same in all shards."""
        path: Ancestry = self.shards[0].call("ancestry")
        return path

    def positions(self) -> list[Position]:
        """Where each shard stands."""
        return self._all("ready")

    def snapshot(self) -> bytes:
        """Everything, for a checkpoint."""
        return msgspec.msgpack.encode(self._all("snapshot"))

    def restore(self, snapshot: bytes) -> None:
        """Take up from a checkpoint's snapshot, in place of all that happened since."""
        parts = unpacked(snapshot, len(self.shards), "actors.experience_shards")
        self._begun = None
        # A part that is not yet in records is of an older schema: the shard says so.
        parts = [[part] if isinstance(part, bytes) else part for part in parts]
        self._each(lambda shard: self.shards[shard].call("restore", parts[shard]), range(len(self.shards)))

    def assert_closed(self) -> None:
        """Raise unless ledger, groups and slots of every shard agree."""
        self._all("assert_closed")

    def statistics(self) -> list[Books]:
        """The books of each shard."""
        return self._all("statistics")

    def _part(self, consumer: Version, wait_seconds: float, shard: int) -> list[Item] | Lack:
        """A shard's part with its bodies, or what it lacks. Bodies that died with their shard are asked for again."""
        for _ in range(10):
            part: Part | Lack = self.shards[shard].call("take", consumer, wait_seconds, wait_seconds=wait_seconds)
            if isinstance(part, Lack):
                return part
            try:
                bodies: list[bytes] = ray.get(part.bodies[0], timeout=self.shards[shard].deadline)
            except GetTimeoutError as error:  # it is there, or Ray would say otherwise: asking again would wait as long
                raise AzrError(
                    f"{self.shards[shard].name} gave its part of a batch, whose bodies did not arrive within "
                    f"{self.shards[shard].deadline:g} s",
                    "look at the network between its machine and the learner's, and at Ray's logs",
                ) from error
            except RayError:
                continue
            return [
                item._replace(sample=msgspec.structs.replace(item.sample, body=body))
                for item, body in zip(part.items, bodies, strict=True)
            ]
        raise AzrError(
            f"{self.shards[shard].name} gave its part of a batch ten times, and died each time before it was fetched",
            "its log in the run's folder says why it dies",
        )

    def _all(self, method: str, *arguments: Any) -> list[Any]:
        return self._each(lambda shard: self.shards[shard].call(method, *arguments), range(len(self.shards)))

    @staticmethod
    def _each(act: Callable[[int], Result], shards: Sequence[int]) -> list[Result]:
        """Ask shards at the same time; the first error is raised when all have answered."""
        if len(shards) == 1:
            return [act(shards[0])]
        with ThreadPoolExecutor(len(shards), thread_name_prefix="azr-experience") as pool:
            return [answer.result() for answer in [pool.submit(act, shard) for shard in shards]]


def unpacked(snapshot: bytes, shards: int, key: str) -> list[Any]:
    """The shards' parts of a snapshot."""
    parts = msgspec.msgpack.decode(snapshot, type=list[Any])
    if len(parts) != shards:
        raise ShardMismatchError(
            f"the checkpoint was written by {len(parts)} shards and cannot be read by {shards}",
            f"set {key}: {len(parts)}",
        )
    return parts
