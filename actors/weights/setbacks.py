"""How often a transport that fails is asked again: a state machine of the publisher's, in counts of versions.

    fails ─► is asked for the next version ─► fails ─► rests 4 versions ─► fails ─► rests 8 ─► … 64 at most
                                              other replicas serve: it is asked at once, for a new group may form

A group that cannot form keeps engines from sampling for minutes at each try. Replicas are told apart by name: one that
hung in such a try makes a new engine, and it would hang again.
"""

from __future__ import annotations

from collections.abc import Iterable

#: Failures in a row without a rest: the first may be an engine that died in it.
TRIES = 2
#: The longest rest. A network that is mended is used again some day.
LONGEST = 64


class Setbacks:
    """Of one transport."""

    def __init__(self) -> None:
        self.failures = 0
        """In a row."""
        self._replicas: frozenset[str] = frozenset()
        self._rest = 0

    def rest(self, replicas: Iterable[str]) -> int:
        """For how many versions it is not asked, this one included; counted down by each call."""
        if (names := frozenset(replicas)) != self._replicas:
            self._replicas, self._rest = names, 0
        rest = self._rest
        self._rest = max(0, rest - 1)
        return rest

    def count(self, *, failed: bool) -> int:
        """What became of a version that it was asked to carry; the answer is for how many it rests now."""
        self.failures = self.failures + 1 if failed else 0
        self._rest = min(2**self.failures, LONGEST) if self.failures >= TRIES else 0
        return self._rest
