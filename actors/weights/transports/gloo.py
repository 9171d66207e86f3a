"""`gloo`: weights broadcast from the learner to all engines, over TCP, packed into few large messages.

Both sides of it. An engine's worker receives in its staging thread, into memory of its own, while it goes on sampling;
only whole, checked weights are put in place. The group is fixed: the sender forms a new one whenever the engines are
others than before, and when anything went wrong in the old one. The store that its members meet at is the sender's.

    sender (rank 0) ── bucket of bytes, bucket, … ──► ranks 1 … n: one a worker of each replica
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from actors.weights.records import Order
from actors.weights.registry import own_address
from actors.weights.transports.base import Engines, Fleet, engines_of, ranks_of
from azr.game.types import Version

if TYPE_CHECKING:
    from torch import Tensor

#: Bytes of one message. Larger ones gain nothing, smaller ones cost a round each.
_BUCKET = 64 << 20
#: Tensors begin at multiples of this in a message, so that any dtype can be viewed in place.
_ALIGNED = 16

#: A worker's group, by the id that the sender gave it. Workers are in one at a time.
_joined: dict[str, Any] = {}


class GlooBroadcast:
    """The sender's side."""

    def __init__(self, address: str = "") -> None:
        self._address = address or own_address()
        self._engines: Engines = ()
        self._info: dict[str, Any] = {}
        self._store: Any = None
        self._group: Any = None

    def carry(self, version: Version, checksum: str, tensors: Mapping[str, Tensor], fleet: Fleet) -> int:
        """Tell the replicas to receive, and send."""
        members = fleet.members
        if not members:
            return fleet.give(Order(number=0, action="file", version=version, checksum=checksum))
        engines = engines_of(members)
        ranks, size = ranks_of(members)
        try:
            if engines != self._engines or self._group is None:
                self._meet(size, fleet.seconds_left())
            order = Order(
                number=0,
                action="gloo",
                version=version,
                checksum=checksum,
                info=self._info | {"tensors": _listed(tensors), "seconds": fleet.seconds_left()},
                details={name: {"rank": rank} for name, rank in ranks.items()},
            )
            number = fleet.give(order)
            if self._group is None:
                self._group = _join(self._store, self._address, 0, size, fleet.seconds_left())
            self._engines = engines
            for bucket in _packed(tensors):
                _broadcast(self._group, bucket, fleet.seconds_left())
        except Exception:
            self.close()
            raise
        return number

    def close(self) -> None:
        """Leave the group; the next version forms another."""
        self._group = self._store = None
        self._engines = ()

    def _meet(self, size: int, seconds: float) -> None:
        """Open the place where a new group will meet."""
        from torch.distributed import TCPStore  # type: ignore[attr-defined]

        self._group = None
        self._store = TCPStore(
            self._address, 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=seconds)
        )
        self._info = {"group": uuid.uuid4().hex, "address": self._address, "port": self._store.port, "size": size}


def receive_broadcast(info: dict[str, Any], worker: int) -> list[tuple[str, Tensor]]:
    """A worker's side: `worker` is its rank inside its engine. Joins the group first if it is a new one."""
    import torch
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    name, seconds = str(info["group"]), float(info["seconds"])
    if name not in _joined:
        _joined.clear()
        store = TCPStore(info["address"], int(info["port"]), is_master=False, timeout=timedelta(seconds=seconds))
        _joined[name] = _join(store, own_address(), int(info["rank"]) + worker, int(info["size"]), seconds)
    group = _joined[name]
    received: list[tuple[str, Tensor]] = []
    try:
        for bucket in layout([(str(each[0]), str(each[1]), tuple(each[2])) for each in info["tensors"]]):
            message = torch.empty(bucket.size, dtype=torch.uint8)
            _broadcast(group, message, seconds)
            received += [(place.name, _view(message, place)) for place in bucket.places]
    except Exception:
        _joined.clear()
        raise
    return received


class Place(NamedTuple):
    """Where a tensor lies in a message."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    size: int


class Bucket(NamedTuple):
    """One message."""

    size: int
    places: tuple[Place, ...]


def layout(table: Sequence[tuple[str, str, tuple[int, ...]]]) -> list[Bucket]:
    """How tensors (name, dtype, shape) are packed into messages; both sides work it out from the same table."""
    import torch

    buckets: list[Bucket] = []
    places: list[Place] = []
    end = 0
    for name, dtype, shape in table:
        size = math.prod(shape) * getattr(torch, dtype).itemsize
        if places and end + size > _BUCKET:
            buckets.append(Bucket(end, tuple(places)))
            places, end = [], 0
        places.append(Place(name, dtype, shape, end, size))
        end += -(-size // _ALIGNED) * _ALIGNED
    return [*buckets, Bucket(end, tuple(places))] if places else buckets


def _listed(tensors: Mapping[str, Tensor]) -> list[tuple[str, str, list[int]]]:
    """What is sent, in the order in which it is."""
    return [(name, str(tensor.dtype).removeprefix("torch."), list(tensor.shape)) for name, tensor in tensors.items()]


def _packed(tensors: Mapping[str, Tensor]) -> Iterator[Tensor]:
    """The messages, one after the other."""
    import torch

    for bucket in layout([(name, dtype, tuple(shape)) for name, dtype, shape in _listed(tensors)]):
        message = torch.zeros(bucket.size, dtype=torch.uint8)
        for place in bucket.places:
            _view(message, place).copy_(tensors[place.name])
        yield message


def _view(message: Tensor, place: Place) -> Tensor:
    """The tensor that lies there."""
    import torch

    return message[place.start : place.start + place.size].view(getattr(torch, place.dtype)).view(place.shape)


def _join(store: Any, address: str, rank: int, size: int, seconds: float) -> Any:
    """This process's end of the group; blocks until all are there."""
    from torch.distributed import distributed_c10d

    gloo: Any = distributed_c10d.ProcessGroupGloo
    options = gloo._Options()
    options._devices = [gloo.create_device(hostname=address)]
    options._timeout = timedelta(seconds=seconds)
    return gloo(store, rank, size, options)


def _broadcast(group: Any, message: Tensor, seconds: float) -> None:
    """One message from rank 0 to all; raises when a member is gone or time runs out."""
    from torch.distributed import BroadcastOptions

    options = BroadcastOptions()
    options.rootRank, options.rootTensor = 0, 0
    group.broadcast([message], options).wait(timedelta(seconds=max(seconds, 0.1)))
