"""What happens to the experience, one immutable event each: what the journal holds and what rebuilding replays.

Made by `azr.ledger.experience` after it has decided, written by the journal, applied by `azr.ledger.book`. Events carry
decisions, never inputs to them, so that replaying needs no clock and no random state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from azr.game.types import Cell, Version
from azr.ledger.ledger import LedgerState, Sample
from azr.staleness.bound import Ancestry

Kind = Literal["proposal", "rating", "replay"]


class Rating(msgspec.Struct, frozen=True, array_like=True):
    """What a whole group of attempts says about its task."""

    correct: int
    attempts: int
    oldest: Version
    """The oldest weights that had a part in it."""


class Group(msgspec.Struct, kw_only=True):
    """Samples that are admitted, retried, swept and dropped together."""

    id: str
    kind: Kind
    task_type: str
    size: int
    sequence: int = 0
    """Order of admission."""
    task: str = ""
    """The task that is attempted, or that a proposal became."""
    rates: str = ""
    """Of a rating: the proposal that waits for it."""
    samples: list[str] = []
    versions: list[Version] = []
    """All weights that had a part in any sample, or in the rating of a proposal."""
    correct: int = 0
    rating: Rating | None = None
    """Of a proposal whose task was valid: what its attempts said."""
    state: Literal["open", "judged", "ready", "taken"] = "open"
    """`open`: samples are missing. `judged`: a valid proposal that waits for its rating. `ready`: may be trained on."""
    tries: int = 0
    """How often work on it was lost."""

    @property
    def cell(self) -> Cell:
        """The cell whose batch it belongs to."""
        return Cell(self.task_type, "propose" if self.kind == "proposal" else "solve")

    @property
    def missing(self) -> int:
        """Samples still to come."""
        return self.size - len(self.samples)

    @property
    def awaited(self) -> list[str]:
        """Ids of the samples still to come. A sample made anew after a loss bears the id of the one that was lost."""
        return [name for index in range(self.size) if (name := f"{self.id}#{index}") not in self.samples]


class Opened(msgspec.Struct, frozen=True, tag="opened", array_like=True):
    """Work was admitted: a proposal (which brings the slots of its rating), or attempts at an old task."""

    group: str
    kind: Kind
    task_type: str
    size: int
    task: str = ""


class Judged(msgspec.Struct, frozen=True, tag="judged", array_like=True):
    """A proposal came in, and the gate's verdict with it. A valid one opens the group of attempts that rates it."""

    sample: Sample
    task: str | None
    rating_group: str = ""


class Attempted(msgspec.Struct, frozen=True, tag="attempted", array_like=True):
    """An attempt came in, with its verdict."""

    sample: Sample


class Retried(msgspec.Struct, frozen=True, tag="retried", array_like=True):
    """Work on a group was lost and will be given out again."""

    group: str


class Dropped(msgspec.Struct, frozen=True, tag="dropped", array_like=True):
    """A group is gone, all of it, and why."""

    group: str
    reason: str


class Wasted(msgspec.Struct, frozen=True, tag="wasted", array_like=True):
    """Tokens that were generated but never became samples."""

    cell: Cell
    samples: int
    tokens: int
    reason: str


class Taken(msgspec.Struct, frozen=True, tag="taken", array_like=True):
    """A batch left for a learner step. Taking again for the same step gives the same batch."""

    consumer: Version
    groups: list[str]
    owing: dict[str, int] = {}
    """Groups that cells owe to the next batch."""


class Committed(msgspec.Struct, frozen=True, tag="committed", array_like=True):
    """The learner's step on its batch is done."""

    consumer: Version


class Published(msgspec.Struct, frozen=True, tag="published", array_like=True):
    """New weights generate from now on."""

    version: Version


class Resumed(msgspec.Struct, frozen=True, tag="resumed", array_like=True):
    """A driver continues from the checkpoint of these weights under a new lineage."""

    at: Version
    lineage: int


class Kept(msgspec.Struct, frozen=True, tag="kept", array_like=True):
    """A resume begins from one of these checkpoints, and from no other."""

    checkpoints: list[int]
    """Their steps, in order."""


class Bodies(msgspec.Struct, frozen=True, tag="bodies", array_like=True):
    """Bodies of samples that the snapshot before it names without."""

    bodies: dict[str, bytes]


class Snapshot(msgspec.Struct, frozen=True, tag="snapshot", array_like=True):
    """Everything, in place of all events before it."""

    schema: int
    ledger: LedgerState
    groups: list[Group]
    taken: dict[int, list[str]]
    committed: dict[int, list[Group]]
    owing: dict[int, dict[str, int]]
    unpublished: list[int]
    published: Version
    next_step: int
    ancestry: Ancestry
    sequence: int
    checkpoints: list[int] = []
    """Steps of those that are kept. What an older schema wrote lacks them, and is read so that it can be refused."""


Event = (
    Opened
    | Judged
    | Attempted
    | Retried
    | Dropped
    | Wasted
    | Taken
    | Committed
    | Published
    | Resumed
    | Kept
    | Snapshot
    | Bodies
)

#: Raised with every change of the events above; a reader refuses what it does not know.
SCHEMA = 3

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[list[Event]] = msgspec.msgpack.Decoder(list[Event])


def encode(happened: Sequence[Event]) -> bytes:
    """What one call decided, as one journal record: after a crash all of it has happened or nothing."""
    return _encoder.encode(happened)


def decode(record: bytes) -> list[Event]:
    """What one call decided."""
    return _decoder.decode(record)
