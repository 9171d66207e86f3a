"""What a transport is to the publisher: it has the replicas do their half of it, and does the sender's.

      publisher: store in the registry ──► transport.carry(…) ──► orders to the fleet, bytes sent ──► reports
                                               │ raises: everybody takes the version's file instead

A transport that only moves bytes which every replica can fetch by itself (`shm`, `disk`) has nothing to send. One that
sends to a fixed group (`gloo`, `nccl`, `ipc`) forms it anew whenever the engines are others than before; who joins
between two versions, or is left out, takes the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from actors.weights.records import Member, Order
from azr.game.types import Version

if TYPE_CHECKING:
    from torch import Tensor


class Fleet(Protocol):
    """The replicas that serve, and how they are told what to do; the publisher's, handed to the transport."""

    @property
    def members(self) -> tuple[Member, ...]:
        """Who serves, by name."""
        ...

    def give(self, order: Order) -> int:
        """Tell all replicas; comes back at once, with the order's number."""
        ...

    def carried_out(self, number: int) -> None:
        """Wait until all have carried an order out; raises, with their names, if some failed or ran out of time."""
        ...

    def seconds_left(self) -> float:
        """Until the version's deadline."""
        ...


#: Who is in a group: a replica keeps its name when it makes a new engine, which is in no group yet.
Engines = tuple[tuple[str, tuple[int, ...]], ...]


def engines_of(members: tuple[Member, ...]) -> Engines:
    """The engines that a group is formed of."""
    return tuple((member.name, member.engine_pids) for member in members)


class Transport(Protocol):
    """One way to the engines.

    One that reads the version's file itself says so by an attribute `needs_file` that is true: the file then lies in
    its folder before `carry`, also where the registry is on another machine, if both see the folder (`weights.folder`).
    Otherwise the bytes go to the registry's machine, and there may be no file on this one.
    """

    def carry(self, version: Version, checksum: str, tensors: Mapping[str, Tensor], fleet: Fleet) -> int:
        """Bring a version to the fleet; the answer is the order on which replicas report, which need not have done so
        yet. Raises if that cannot be, with nothing left open: the next version gets another transport. Runs in a thread
        of its own, which is left behind when it does not come back in time."""
        ...

    def close(self) -> None:
        """Nothing more will be sent. Called from another thread it ends a `carry` that hangs, where that can be."""
        ...


def ranks_of(members: tuple[Member, ...]) -> tuple[dict[str, int], int]:
    """The first rank of each replica's workers in a group whose rank 0 is the sender, and the group's size.

    vLLM's own sender gives every engine the offset 1: two replicas would then claim the same ranks.
    """
    ranks: dict[str, int] = {}
    size = 1
    for member in members:
        ranks[member.name] = size
        size += member.workers
    return ranks, size
