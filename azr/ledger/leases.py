"""Leases: who works on what, until when. Work whose holder falls silent comes back.

Owned by `azr.ledger.experience`. Holds no clock: whoever calls passes the time in. Not journaled: after a restart of
its service all open work is leased anew, to whoever reports it first.
"""

from __future__ import annotations

import heapq
from typing import NamedTuple


class Lease(NamedTuple):
    """A holder and the time until which it may be silent."""

    owner: str
    deadline: float


class Leases:
    """Leases by the key of the work."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._leases: dict[str, Lease] = {}
        self._deadlines: list[tuple[float, str]] = []
        """A heap; entries that no longer match a lease are passed over when they surface."""

    def grant(self, key: str, owner: str, now: float, seconds: float | None = None) -> Lease:
        """Give the work to an owner, or renew the lease it has; taking over another's lease is allowed."""
        lease = Lease(owner, now + (self.seconds if seconds is None else seconds))
        self._leases[key] = lease
        heapq.heappush(self._deadlines, (lease.deadline, key))
        return lease

    def release(self, key: str) -> None:
        """The work is done or gone; nothing happens when nobody held it."""
        self._leases.pop(key, None)

    def holder(self, key: str) -> str | None:
        """Who works on it."""
        lease = self._leases.get(key)
        return lease.owner if lease else None

    def expire(self, now: float) -> dict[str, str]:
        """Take back all work whose deadline has passed: keys and who held them."""
        expired: dict[str, str] = {}
        while self._deadlines and self._deadlines[0][0] <= now:
            deadline, key = heapq.heappop(self._deadlines)
            lease = self._leases.get(key)
            if lease is not None and lease.deadline == deadline:
                expired[key] = lease.owner
                del self._leases[key]
        return expired

    def __len__(self) -> int:
        return len(self._leases)
