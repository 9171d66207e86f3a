"""What the registry knows, without any actor: versions kept, replicas and what they are at, the order that stands.

A state machine: every method is one event, clocks and files are the caller's. `actors.weights.registry` puts an actor
around it. Who waits for a change waits for `sequence` to move.

    join ──► starting ──► serving ──► leaving ──► (forgotten)
       └───► standby ──┘ one too few serves     lost ◄── any of them, named for a while
                 ▲──────── one too many serves
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection

import msgspec

from actors.weights.records import Member, Order, Report, State, Stored
from azr.game.types import Version

#: Lost replicas that are still named, so that who asks late learns why.
_LOST_KEPT = 32

#: These take a place among those that serve, or will.
_ACTIVE: tuple[State, ...] = ("starting", "serving")


class Book:
    """The registry's state."""

    def __init__(self, *, keep: int) -> None:
        self.keep = keep
        self.sequence = 0
        """Moves with every change of members or orders."""
        self.wanted: dict[str, int] = {}
        """Replicas that should serve, by pool."""
        self.versions: dict[Version, Stored] = {}
        self.members: dict[str, Member] = {}
        self.lost: OrderedDict[str, Member] = OrderedDict()
        self.departed: OrderedDict[str, None] = OrderedDict()
        """Names of replicas that are gone, lost or not."""
        self.numbered = 0
        """Of the last order."""
        self.order: Order | None = None
        self.reports: dict[str, Report] = {}
        """Of the order that stands, by replica."""
        self.replaced = 0
        """Replicas lost so far."""

    # --- versions -------------------------------------------------------------------------------------------------

    def store(self, stored: Stored) -> list[Stored]:
        """Keep a version; the answer: those that are kept no longer. A version stored again takes the first's place."""
        before = self.versions.pop(stored.version, None)
        self.versions[stored.version] = stored
        gone = [before] if before and before.path != stored.path else []
        gone += [self.versions.pop(version) for version in sorted(self.versions)[: -self.keep]]
        self._moved()
        return gone

    def begin_anew(self, wanted: dict[str, int]) -> None:
        """Forget versions, orders and counts of a run before this one."""
        self.versions.clear()
        self.wanted = dict(wanted)
        self.order, self.reports = None, {}
        self._moved()

    @property
    def newest(self) -> Stored | None:
        """The newest version: the highest step of the highest lineage."""
        return self.versions[max(self.versions)] if self.versions else None

    # --- members --------------------------------------------------------------------------------------------------

    def want(self, pool: str, count: int) -> None:
        """So many replicas of the pool should serve."""
        self.wanted[pool] = count
        self._promote(pool)
        self._moved()

    def join(self, member: Member) -> Member:
        """A replica is here. A new one is told to make its engine, or to stand by. One that serves or stands by already
        is believed: it is the registry that is new then, and those it would count have not all joined yet."""
        self.lost.pop(member.name, None)
        self.departed.pop(member.name, None)
        if member.state == "starting":
            full = self._active(member.pool, but=member.name) >= self.wanted.get(member.pool, 1 << 30)
            member = msgspec.structs.replace(member, state="standby" if full else "starting")
        self.members[member.name] = member
        self._moved()
        return member

    def update(self, member: Member) -> bool:
        """A replica says how it is; one that was called lost, or is unknown, must join again (the answer is False). One
        that stands by now may have been called meanwhile, when it was still finishing what it had."""
        if member.name not in self.members:
            return False
        if member.state == "serving":
            self._engines_can_be_made(member.pool)
        self.members[member.name] = member
        if member.state == "standby":
            self._promote(member.pool)
        self._moved()
        return True

    def leave(self, name: str, why: str, *, unmade: bool = False) -> None:
        """A replica is gone. A standby of its pool takes its place."""
        member = self.members.pop(name, None)
        if member is None:
            return
        self.departed[name] = None
        while len(self.departed) > _LOST_KEPT:
            self.departed.popitem(last=False)
        if member.state != "leaving":
            self.replaced += 1
            self.lost[name] = msgspec.structs.replace(member, state="lost", why=why, unmade=unmade)
            while len(self.lost) > _LOST_KEPT:
                self.lost.popitem(last=False)
        self._promote(member.pool)
        self._moved()

    def settle(self, pool: str) -> None:
        """More serve than are wanted (one was given up and came back, or Serve took a standby away instead): the ones
        that joined last are told to stand by. One that makes its engine still takes nobody's place: until it serves, a
        minute from now, nobody else might."""
        for member in reversed(self.of(pool)):
            serving = sum(each.state == "serving" for each in self.of(pool))
            if serving <= self.wanted.get(pool, 1 << 30):
                return
            if member.state == "serving":
                self.members[member.name] = msgspec.structs.replace(member, state="standby")
                self._moved()

    def fill(self, pool: str) -> None:
        """Fewer serve than are wanted, for those that did may have died unheard: standbys take their places."""
        self._promote(pool)
        self._moved()

    def of(self, pool: str) -> tuple[Member, ...]:
        """The replicas of a pool."""
        return tuple(member for member in self.members.values() if member.pool == pool)

    # --- orders ---------------------------------------------------------------------------------------------------

    def give(self, order: Order) -> Order:
        """An order to all replicas; it takes the place of the one before. The answer: it, numbered."""
        self.numbered += 1
        self.order = msgspec.structs.replace(order, number=self.numbered)
        self.reports = {}
        self._moved()
        return self.order

    def number_from(self, number: int) -> None:
        """Give the order that stands, if any does, anew, behind this number, and all that come after it."""
        self.numbered = number
        if self.order is not None:
            self.give(self.order)

    def report(self, report: Report) -> None:
        """What became of the order at one replica; what is said of an older order is of no interest any more."""
        if self.order is not None and report.number == self.order.number:
            self.reports[report.name] = report
        if report.name in self.members:
            self.members[report.name] = msgspec.structs.replace(self.members[report.name], version=report.version)
        self._moved()

    def stands(self, number: int) -> bool:
        """Whether that order is the one that stands; not so when another came, or the registry is a new one."""
        return self.order is not None and self.order.number == number

    def outstanding(self, number: int, expected: Collection[str] = ()) -> tuple[str, ...]:
        """Replicas that serve and have said nothing of the order. Those `expected` owe a report too while nothing is
        known of them: a new registry has not heard of everybody yet. Nobody owes one once another order stands."""
        if not self.stands(number):
            return ()
        serving = {name for name, member in self.members.items() if member.state == "serving" and member.port}
        unheard = set(expected) - self.members.keys() - self.departed.keys()
        return tuple(sorted((serving | unheard) - self.reports.keys()))

    # --- inside ---------------------------------------------------------------------------------------------------

    def _active(self, pool: str, *, but: str = "") -> int:
        return sum(member.state in _ACTIVE and member.name != but for member in self.of(pool))

    def _promote(self, pool: str) -> None:
        """Standbys make their engines while fewer than wanted serve or are about to."""
        for member in self.of(pool):
            if self._active(pool) >= self.wanted.get(pool, 0):
                return
            if member.state == "standby":
                self.members[member.name] = msgspec.structs.replace(member, state="starting")

    def _engines_can_be_made(self, pool: str) -> None:
        """One serves: that others could not be made before it says nothing of the next."""
        for name, member in self.lost.items():
            if member.pool == pool and member.unmade:
                self.lost[name] = msgspec.structs.replace(member, unmade=False)

    def _moved(self) -> None:
        self.sequence += 1
