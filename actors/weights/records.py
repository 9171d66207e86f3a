"""What registry, publisher and replicas tell each other."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from actors.engine.records import UpdateTimes
from azr.game.types import Version

#: What a replica is at: making its engine, serving, waiting with its imports done, finishing what it has, or gone.
State = Literal["starting", "serving", "standby", "leaving", "lost"]


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A version that the registry keeps."""

    version: Version
    path: str
    """Of its file, on the registry's host."""
    checksum: str
    size: int


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A replica, as registry and clients know it."""

    name: str
    pool: str = "shared"
    """Which deployment it belongs to: `shared`, or the role it serves."""
    host: str = ""
    """Which machine it runs on; `azr` identifies machines by boot."""
    address: str = ""
    port: int = 0
    """Where it answers requests; 0: it does not yet."""
    token: str = ""
    """What a client must say first, so that nobody else on the network is answered."""
    pid: int = 0
    engine_pids: tuple[int, ...] = ()
    rings: tuple[str, ...] = ()
    """Names of its engine's shared memory, for whoever cleans up after it."""
    workers: int = 1
    """Ranks it takes in a group of a collective transport."""
    state: State = "starting"
    version: Version = Version(0, 0)
    why: str = ""
    """Why it is lost, or has no engine."""
    unmade: bool = False
    """Whether it is lost because no engine could be made, as `why` says, and none of its pool has served since: another
    replica will hardly fare better."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What replicas are to do about weights. Each order is numbered; a replica that missed some needs the last only."""

    number: int
    action: Literal["file", "again", "gloo", "native_init", "native_update"]
    """`again`: those named in `details` take the file although they serve the version already."""
    version: Version
    checksum: str = ""
    info: dict[str, Any] = {}
    """For all alike."""
    details: dict[str, dict[str, Any]] = {}
    """For each by name; who is not named here takes the version's file instead. Empty: all are alike."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an order at one replica."""

    name: str
    number: int
    version: Version
    """What it serves now."""
    error: str = ""
    """What went wrong, also where the replica was healed since: a group that it was in is broken all the same."""
    times: UpdateTimes | None = None
    """What it cost; with an error: it was healed, and has whole weights by the version's file."""
    transport: str = ""
    """How the weights really came: a replica that missed a broadcast took the file."""
    loaded: str = ""
    """Checksum of the weights of one that had the version before the order came; they cost it nothing now."""
    gaps: tuple[float, ...] = ()
    """Of the updates before: seconds from the last token of old weights to the first of new ones. That of this one ends
    only when the engine has gone on."""

    @property
    def failed(self) -> str:
        """What went wrong and was not healed."""
        return "" if self.times is not None else self.error

    @property
    def holds(self) -> str:
        """Checksum of the version as the engine holds it; empty where nobody summed it."""
        return self.times.loaded if self.times else self.loaded


class UpdateReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a version at all replicas."""

    version: Version
    reports: tuple[Report, ...]
    missing: tuple[str, ...] = ()
    """Replicas that did not confirm, each by its name and the reason; `registry` where that lost the order."""
    not_carried: str | None = ""
    """Why the transport failed, so that replicas were to take the version's file; empty where it did not, and None
    where it was not asked: nobody was there, or had the version already."""
    checksum: str = ""
    size: int = 0
    seconds: float = 0.0
    """From the call to the last confirmation."""
    store_seconds: float = 0.0
    """Until the registry had it."""

    @property
    def complete(self) -> bool:
        """Whether everybody serves it."""
        return not self.missing
