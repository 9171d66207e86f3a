"""The task buffers of one shard, whose tasks and ratings outlast its process.

Hosted by a shard of the task service. What comes in (tasks, ratings, the learner's step) is journaled before it is
acknowledged, and with new tasks those that leave for them: what leaves depends on draws, and draws are not journaled.
So the tasks held and their ratings come back exactly; visits do not, and a task that was out is simply drawn again.
Written out on purpose (checkpoints), buffers come back to the very next draw; see `TaskBuffer.state`.

An estimate counts once, though whoever tells it asks again because the answer was lost: the groups that rated last are
remembered, in the journal and in checkpoints as well.

A journal that has grown begins anew with the buffers themselves. They take many records, for one has a limit.

      compacted:  [Held, some tasks] [Held] … [Written, all but the tasks]   then what comes in

      add_many · rate_many · advance … ── append, sync ──► buffers ──► answer
      draw · references ─────────────────────────────────► buffers ──► answer
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import msgspec

from azr.buffers import BufferState, Estimate, TaskBuffer
from azr.game.types import Task, Version
from azr.journal.durable import SHORTEN_ABOVE_BYTES
from azr.journal.journal import Journal, Recovery

#: Tasks in one record of a compacted journal: few records, and each far from the longest that there may be.
PIECE_TASKS = 1024

#: Groups whose estimates are remembered, a shard. A call is repeated for `actors.call_seconds` at most; this is what a
#: hundred groups a second rate in that time, and more.
REMEMBERED = 16_384


class Added(msgspec.Struct, frozen=True, tag="added", array_like=True):
    """Tasks that were new, and by type the ids of those that left to make room; without any new one, of those that were
    let go."""

    tasks: list[Task]
    left: dict[str, list[str]] = {}
    out: bool = False
    """They are being attempted already."""


class Rated(msgspec.Struct, frozen=True, tag="rated", array_like=True):
    """What attempts said about tasks of one type."""

    task_type: str
    estimates: list[Estimate]


class Stepped(msgspec.Struct, frozen=True, tag="stepped", array_like=True):
    """The learner is at this step."""

    step: int
    resumed_as: int = 0
    """Of a learner that went back to this step: the lineage under which it goes on, which is never the first."""


class Held(msgspec.Struct, frozen=True, tag="held", array_like=True):
    """Tasks of one type in the order of their slots, for the `Written` that follows and comes without."""

    task_type: str
    tasks: list[Task | None]


class Written(msgspec.Struct, frozen=True, tag="written", array_like=True):
    """All buffers, in place of all events before."""

    buffers: dict[str, BufferState]
    rated: list[str] = []
    """Groups that rated last, oldest first."""

    @property
    def reached(self) -> Version:
        """The lineage and the step that were told last. It never falls: where the step does, the lineage is new."""
        return max((Version(state.lineage, state.step) for state in self.buffers.values()), default=Version(0, 0))


Event = Added | Rated | Stepped | Held | Written

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)


class DurableTasks:
    """Buffers by task type, and the journal of what came into them."""

    def __init__(self, buffers: Mapping[str, TaskBuffer], journal: Journal) -> None:
        """`buffers` are empty ones, whose configuration and generators are used where the journal holds none."""
        self.buffers = dict(buffers)
        self._journal = journal
        self._rated: dict[str, None] = {}
        """Groups that rated last, oldest first."""
        self._held: dict[str, list[Task | None]] = {}
        """Tasks read back whose buffer is still to come."""

    @property
    def step(self) -> int:
        """The learner's, as it was told last."""
        return self.reached.step

    @property
    def reached(self) -> Version:
        """The lineage and the step that were told last."""
        return max(Version(buffer.lineage, buffer.step) for buffer in self.buffers.values())

    @property
    def untouched(self) -> bool:
        """Whether nothing was ever recorded here, or what was is lost."""
        return not self._journal.count

    def open(self, *, salvage: bool = False) -> Recovery:
        """Take up where the journal ends."""
        recovery = self._journal.open(salvage=salvage)
        for record in self._journal.records():
            self._apply(_decoder.decode(record))
        return recovery

    def add_many(self, tasks: Sequence[Task], *, out: bool = False) -> list[bool]:
        """Take in new tasks, each into the buffer of its type; False for each that is held already, or came twice.

        `out`: they are being attempted already, by those who rate them; nobody else draws them until they are rated.
        """
        places: dict[str, list[int]] = {}
        for place, task in enumerate(tasks):
            self._buffer(task.task_type)
            places.setdefault(task.task_type, []).append(place)
        new = [False] * len(tasks)
        left: dict[str, list[str]] = {}
        for task_type, of_type in places.items():
            flags = self.buffers[task_type].are_new([tasks[place] for place in of_type])
            for place, flag in zip(of_type, flags, strict=True):
                new[place] = flag
            if leaving := self.buffers[task_type].leaving_for(sum(flags)):
                left[task_type] = leaving
            self.buffers[task_type].duplicates += len(flags) - sum(flags)
        if entering := [task for task, flag in zip(tasks, new, strict=True) if flag]:
            self._record(event := Added(entering, left, out))
            self._apply(event)
        return new

    def rate_many(self, task_type: str, estimates: Iterable[Estimate]) -> int:
        """Attempts came back; returns how many of the tasks were still held and not rated by these attempts before."""
        self._buffer(task_type)
        named = {estimate.group or number: estimate for number, estimate in enumerate(estimates)}
        if not (new := [estimate for group, estimate in named.items() if group not in self._rated]):
            return 0
        self._record(event := Rated(task_type, new))
        return self._rate(event)

    def let_go(self, task_type: str, task_ids: Iterable[str]) -> None:
        """Tasks that nobody can attempt, or be judged by, leave for good."""
        buffer = self._buffer(task_type)
        if leaving := [task_id for task_id in task_ids if task_id in buffer]:
            self._record(event := Added([], {task_type: leaving}))
            self._apply(event)

    def advance(self, step: int) -> None:
        """The learner is at this step."""
        self._record(event := Stepped(step))
        self._apply(event)

    def resume(self, at: Version) -> None:
        """The learner went back to this step, and goes on under this lineage."""
        self._record(event := Stepped(at.step, at.lineage))
        self._apply(event)

    def shorten(self, above_bytes: int = SHORTEN_ABOVE_BYTES) -> bool:
        """Put the buffers themselves in place of the journal's history once it has grown; returns whether it did."""
        if not self._journal.outgrew(above_bytes):
            return False
        self._journal.compact(_records_of(self.written()))
        return True

    def written(self) -> Written:
        """All buffers, for a checkpoint."""
        states = {task_type: buffer.state() for task_type, buffer in self.buffers.items()}
        return Written(states, list(self._rated))

    def restore(self, written: Written) -> None:
        """Take up from a checkpoint, in place of the journal's history and of what is held, or of neither."""
        buffers = self._made_of(written)
        self._journal.compact(_records_of(written))
        self._become(buffers, written.rated)

    def _record(self, event: Event) -> None:
        self._journal.append(_encoder.encode(event))

    def _apply(self, event: Event) -> None:
        match event:
            case Added(tasks, left, out):
                for task_type, task_ids in left.items():
                    buffer = self._buffer(task_type)
                    (buffer.evict if tasks else buffer.let_go)(task_ids)
                for task in tasks:
                    self._buffer(task.task_type).add(task, out=out)
            case Rated():
                self._rate(event)
            case Stepped(step, resumed_as):
                for buffer in self.buffers.values():
                    if resumed_as:
                        buffer.resume(Version(resumed_as, step))
                    else:
                        buffer.advance(step)
            case Held(task_type, held):
                self._held.setdefault(task_type, []).extend(held)
            case Written():
                self._become(self._made_of(event), event.rated)

    def _made_of(self, written: Written) -> dict[str, TaskBuffer]:
        """Buffers as they were written; tasks that came before them enter those that come without."""
        return {
            task_type: TaskBuffer.from_state(
                _with_tasks(state, state.table.tasks or self._held.pop(task_type, [])), self._buffer(task_type).config
            )
            for task_type, state in written.buffers.items()
        }

    def _become(self, buffers: dict[str, TaskBuffer], rated: Iterable[str]) -> None:
        self.buffers |= buffers
        self._rated = dict.fromkeys(rated)

    def _rate(self, event: Rated) -> int:
        self._rated |= dict.fromkeys(estimate.group for estimate in event.estimates if estimate.group)
        for group in list(islice(self._rated, max(0, len(self._rated) - REMEMBERED))):
            del self._rated[group]
        return self._buffer(event.task_type).rate_many(event.estimates)

    def _buffer(self, task_type: str) -> TaskBuffer:
        try:
            return self.buffers[task_type]
        except KeyError:
            raise ValueError(f"no buffer for tasks of type {task_type}; there are {sorted(self.buffers)}") from None


def _records_of(written: Written) -> Iterator[bytes]:
    """All buffers as a history, made record by record."""
    for task_type, state in written.buffers.items():
        for start in range(0, len(state.table.tasks), PIECE_TASKS):
            yield _encoder.encode(Held(task_type, state.table.tasks[start : start + PIECE_TASKS]))
    bare = {task_type: _with_tasks(state, []) for task_type, state in written.buffers.items()}
    yield _encoder.encode(msgspec.structs.replace(written, buffers=bare))


def _with_tasks(state: BufferState, tasks: list[Task | None]) -> BufferState:
    return msgspec.structs.replace(state, table=msgspec.structs.replace(state.table, tasks=tasks))
