"""What passes between the experience service and those who call it."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from azr.game.types import Cell, Version
from azr.ledger.experience import Item
from azr.ledger.ledger import Account, Count

#: What was generated for a group beyond its samples: cell, samples, tokens, reason.
Surplus = tuple[Cell, int, int, str]


class Part(NamedTuple):
    """One shard's part of a batch: what the books say travels, the bodies stay where they are, behind a reference."""

    consumer: Version
    items: list[Item]
    """Without bodies."""
    bodies: list[Any]
    """One object reference to the list of bodies, in the order of the items; nested, so that nobody fetches it on the
    way."""


class Lack(NamedTuple):
    """A shard has no batch yet: what each cell lacks, and what is being made."""

    shard: int
    lacking: dict[Cell, int]
    making: dict[Cell, int]
    """Groups whose samples are not all there, by cell."""
    makers: dict[str, int]
    """The same, by who holds them; nobody: `waiting`."""
    refused: str = ""
    """Why its journal took nothing when it was last asked to, so that nobody can hand anything in."""

    def __str__(self) -> str:
        cells = ", ".join(
            f"{cell} {count} (of which {self.making.get(cell, 0)} groups are being made)"
            for cell, count in sorted(self.lacking.items())
        )
        makers = ", ".join(f"{owner} {count}" for owner, count in sorted(self.makers.items())) or "nobody"
        refused = f"; {self.refused}" if self.refused else ""
        return f"shard {self.shard} lacks {cells}; at work: {makers}{refused}"


class Position(NamedTuple):
    """Where a shard stands."""

    lineage: int
    next_step: int
    published: Version
    taken: bool = False
    """Whether the batch of the next step is out."""
    checkpoints: tuple[int, ...] = (0,)
    """Steps of the checkpoints that the books can go back to, in order."""

    def reaches(self, at: Version) -> bool:
        """Whether these books lead to the weights `at`, so that they can be resumed there: back to a checkpoint that
        is kept, or where they stand.

        One step behind is near enough when its batch is out: the learner died between writing a checkpoint and saying
        that its step was done.
        """
        ends = (self.next_step, self.next_step + self.taken)
        return at.lineage <= self.lineage and (at.step in self.checkpoints or at.step in ends)


class Standing(NamedTuple):
    """Where a shard of the tasks stands."""

    reached: Version
    """The learner's lineage and step, as they were told last."""
    untouched: bool
    """Nothing was ever recorded here, or what was is lost."""


class Books(msgspec.Struct, kw_only=True):
    """What a shard of the experience reports."""

    accounts: dict[str, Account]
    in_flight: dict[str, Count]
    swept_shares: tuple[float, ...]
    position: Position
    process: ProcessReport


class ProcessReport(msgspec.Struct, kw_only=True):
    """How the process of a shard is doing."""

    name: str
    seconds_up: float
    journal_bytes: int
    calls: int
    """Answered since it started."""
    syncs: int
    """Rounds of calls, each with one sync at most."""
    longest_sync: float
    """Seconds that the state waited for the disk at most; the event loop waits for it never."""
    loop_lag: float
    """Seconds that the event loop was late at most."""
