"""How the pool's thread tells a caller that an answer is there: a thread that sleeps, or an event loop that must not.

A caller waits for one ticket at a time, the first one unanswered in its order, and is woken for that one alone.
Waking is decided without a lock: the caller names the ticket before it looks whether it is settled, the pool settles
the ticket before it looks who is named; one of them sees the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

from sandbox_wasm.protocol import JobResult
from sandbox_wasm.ticket import Ticket


class Delivery:
    """Where the answers to one caller's tickets are awaited."""

    def __init__(self) -> None:
        self._awaited: Ticket | None = None

    def settled(self, ticket: Ticket) -> None:
        """Told by the pool's thread once the ticket holds its answer."""
        if self._awaited is ticket:
            self._wake()

    def _wake(self) -> None:
        raise NotImplementedError


class ThreadDelivery(Delivery):
    """For a thread that may sleep."""

    def __init__(self) -> None:
        super().__init__()
        self._event = threading.Event()

    def wait(self, ticket: Ticket, alive: Callable[[], None], check_every: float) -> JobResult:
        """Sleep until the ticket is settled. `alive`, asked now and then, raises if no answer can come."""
        self._awaited = ticket
        while not ticket.settled:
            if not self._event.wait(check_every):
                alive()
            self._event.clear()
        self._awaited = None
        return _unwrap(ticket)

    def _wake(self) -> None:
        self._event.set()


class LoopDelivery(Delivery):
    """For a coroutine of a running event loop."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    async def wait(self, ticket: Ticket, alive: Callable[[], None], check_every: float) -> JobResult:
        """Suspend until the ticket is settled. `alive`, asked now and then, raises if no answer can come."""
        self._awaited = ticket
        while not ticket.settled:
            try:
                async with asyncio.timeout(check_every):
                    await self._event.wait()
            except TimeoutError:
                alive()
            self._event.clear()
        self._awaited = None
        return _unwrap(ticket)

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # The loop was closed with the answer outstanding: nobody is there.
            self._loop.call_soon_threadsafe(self._event.set)


def _unwrap(ticket: Ticket) -> JobResult:
    if ticket.failure is not None:
        raise ticket.failure
    assert ticket.result is not None, "a settled ticket holds a result or a failure"
    return ticket.result
