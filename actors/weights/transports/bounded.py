"""A transport's sending, held to its deadline. Called by the publisher.

What a transport calls may never come back: NCCL waits without end for an engine that is not in its group any more. So
sending has a thread of its own. Past its deadline the transport is closed, which breaks what it waits in (communicators
are aborted), and the thread is left behind: the fleet takes no order of it any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, TypeVar

from actors.weights.transports.base import Fleet, Transport
from azr.game.types import Version

if TYPE_CHECKING:
    from torch import Tensor

Answer = TypeVar("Answer")

#: Beyond the deadline, for a transport that keeps it by itself: it knows better what went wrong.
_GRACE_SECONDS = 2.0
#: For closing what hangs. vLLM gives the abort of a communicator five.
_CLOSE_SECONDS = 6.0


def carry_in_time(
    transport: Transport, version: Version, checksum: str, tensors: Mapping[str, Tensor], fleet: Fleet
) -> int:
    """`transport.carry`, or an error that names the replicas once the fleet's time is over; use it no more then."""
    seconds = fleet.seconds_left()
    sending = _aside("send-weights", _on_this_device(lambda: transport.carry(version, checksum, tensors, fleet)))
    wait([sending], seconds + _GRACE_SECONDS)
    if sending.done():
        return sending.result()
    wait([_aside("close-transport", transport.close)], _CLOSE_SECONDS)
    names = ", ".join(member.name for member in fleet.members)
    raise RuntimeError(f"sending to {names} did not end within {seconds:.0f} s")


def _aside(name: str, work: Callable[[], Answer]) -> Future[Answer]:
    """What comes of work in a thread that keeps nobody from leaving."""
    future: Future[Answer] = Future()

    def act() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=act, name=name, daemon=True).start()
    return future


def _on_this_device(work: Callable[[], Answer]) -> Callable[[], Answer]:
    """The same work on the card that is this thread's: a new thread begins with the first one."""
    import torch

    if not torch.accelerator.is_available():
        return work
    index = torch.accelerator.current_device_index()

    def there() -> Answer:
        torch.accelerator.set_device_index(index)
        return work()

    return there
