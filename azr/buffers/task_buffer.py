"""The tasks of one type: which is trained on next, which is shown to the proposer, which leaves when there is no room.

Hosted by a shard of the task service, one a task type. Draws from the generator it is given and from nothing else;
time is the learner's step, told through `advance`, and through `resume` where it goes back to a checkpoint.

      gate ── add ──► new ── draw ──► out ── rate ──► rated ── draw (by priority) ──► out …
       │                ▲              │                │
       └─ duplicate     └── give_back ─┘                └─ least priority leaves at capacity, the oldest of equals
                            (or after `out_steps`)

New tasks are drawn first in, first out, before any replay; rated ones from a sum-tree. A task that is out is not drawn
again until its attempts came back. Evidence adds up: an estimate's counts are discounted by their age, then the new
ones are added. A task's own age counts from the step that proposed it (`Task.born`), so that one rule makes solvers
begin with the tasks of the step before (`rest_steps`), at step 0 with the seeds. Tasks of steps that a resume undid are
kept, and are old: they are of no step that will come before another.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from azr.buffers import priority
from azr.buffers.sum_tree import SumTree
from azr.buffers.table import Rows, Slots, TableState, TaskTable
from azr.config.sections.buffers import BuffersConfig
from azr.game.types import Task, Version

#: At capacity this share of the tasks leaves at once, so that sorting them all is paid by many new ones.
EVICTION_SHARE = 1 / 64

#: Raised with every change of `BufferState` or of the table's rows.
SCHEMA = 1


class Estimate(NamedTuple):
    """What a whole group of attempts said about a task."""

    task: str
    correct: int
    attempts: int
    step: int
    """Learner step of the oldest weights that attempted."""
    group: str = ""
    """Name of the attempts, by which whoever hears of them twice can tell; the buffer itself does not ask."""


class Status(NamedTuple):
    """What a buffer holds and what became of the rest."""

    tasks: int
    new: int
    """Never rated, waiting to be drawn."""
    out: int
    """Drawn, their attempts not back yet."""
    programs: int
    """Different programs among the tasks."""
    evicted: int
    duplicates: int
    mean_visits: float
    mean_estimate_age: float
    """Learner steps since rated tasks were rated."""
    mean_learnability: float
    """Of rated tasks, by the evidence and its age."""


class BufferState(msgspec.Struct):
    """A whole buffer as it is written to checkpoints."""

    schema: int
    step: int
    replay_owed: float
    evicted: int
    duplicates: int
    table: TableState
    new: list[tuple[int, int]]
    generator: str
    training: bytes
    reference: bytes
    lineage: int = 0
    begun: int = 0


class TaskBuffer:
    """A prioritised, de-duplicated, bounded store of tasks."""

    def __init__(self, config: BuffersConfig, generator: np.random.Generator) -> None:
        if not isinstance(generator.bit_generator, np.random.PCG64):
            raise TypeError("a buffer draws from numpy.random.default_rng(seed), whose state it can write")
        self.config = config
        self.generator = generator
        self.step = 0
        self.lineage = 0
        self.evicted = 0
        """Tasks that left to make room."""
        self.duplicates = 0
        self._begun = 0
        """The step from which the present lineage goes on."""
        self._table = TaskTable(config.capacity)
        self._new: deque[tuple[int, int]] = deque()
        """Slot and sequence number of tasks to draw first; an entry whose task has left or was drawn is passed over."""
        self._replay_owed = 0.0
        self._training = SumTree(config.capacity)
        self._reference = SumTree(config.capacity)

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, task_id: str) -> bool:
        return self._table.slot(task_id) is not None

    def task(self, task_id: str) -> Task:
        """A task by its id; KeyError when it is not held."""
        slot = self._table.slot(task_id)
        if slot is None:
            raise KeyError(task_id)
        return self._table.tasks_at(np.array([slot]))[0]

    def add_many(self, tasks: Sequence[Task], *, out: bool = False) -> list[bool]:
        """Take in new tasks; False for each that is held already, or came twice. `out`: they are attempted already, by
        those who rate them, and nobody else draws them until then."""
        flags = self.are_new(tasks)
        entering = [task for task, new in zip(tasks, flags, strict=True) if new]
        self.duplicates += len(flags) - len(entering)
        for start in range(0, len(entering), self.config.capacity):
            entered = self._enter(entering[start : start + self.config.capacity])
            if out:
                self._send_out(entered)
        return flags

    def are_new(self, tasks: Iterable[Task]) -> list[bool]:
        """Which of these tasks `add_many` would take in."""
        flags: list[bool] = []
        fingerprints: set[str] = set()
        ids: set[str] = set()
        for task in tasks:
            mark = task.fingerprint
            if not mark:
                raise ValueError(f"task {task.id!r} has no fingerprint: a buffer keeps tasks that passed the gate")
            known = mark in fingerprints or self._table.holds(mark) or task.id in ids or task.id in self
            flags.append(not known)
            if not known:
                fingerprints.add(mark)
                ids.add(task.id)
        return flags

    def leaving_for(self, count: int) -> list[str]:
        """The tasks that leave when so many new ones come in, as their ids; none while there is room for all.

        What was rated leaves first, then what still counts as new although it is rated, then new tasks, then what is
        out; among these the least priority first, and of equals the oldest. Where priorities are all alike
        (`selection: uniform`) this is first in, first out, so that no choice of priorities can freeze the buffer.
        """
        missing = count - (self.config.capacity - len(self))
        if missing <= 0:
            return []
        rows = self._table.rows
        fresh = (rows["visits"] == 0) & (self.step - rows["added_step"] <= self.config.new_steps)
        order = np.select([~rows["held"], rows["out"], ~self._replayable(rows), fresh], [4, 3, 2, 1], 0)
        by_use = np.lexsort((rows["sequence"], self._training.weights, order))
        block = max(missing, int(self.config.capacity * EVICTION_SHARE))
        return [task.id for task in self._table.tasks_at(by_use[: min(block, len(self))])]

    def evict(self, task_ids: Iterable[str]) -> None:
        """These tasks leave to make room."""
        self.evicted += self.let_go(task_ids)

    def let_go(self, task_ids: Iterable[str]) -> int:
        """These tasks leave; returns how many of them were held."""
        slots = [slot for task_id in task_ids if (slot := self._table.slot(task_id)) is not None]
        leaving = np.array(slots, np.int64)
        self._table.remove(leaving)
        for tree in (self._training, self._reference):
            tree.update(leaving, np.zeros(len(leaving)))
        return len(leaving)

    def add(self, task: Task, *, out: bool = False) -> bool:
        """Take in a new task; False when the same is held already."""
        return self.add_many([task], out=out)[0]

    def rate_many(self, estimates: Iterable[Estimate]) -> int:
        """Attempts came back; returns how many of the tasks were still held."""
        slots: list[int] = []
        for estimate in estimates:
            slot = self._table.slot(estimate.task)
            if slot is None:
                continue
            row = self._table.rows[slot]
            kept = float(priority.discount(estimate.step - row["rated_step"], self.config.age_half_life))
            row["right"] = row["right"] * kept + estimate.correct
            row["wrong"] = row["wrong"] * kept + estimate.attempts - estimate.correct
            row["rated_step"] = max(estimate.step, int(row["rated_step"]))
            row["rated"], row["out"] = True, False
            slots.append(slot)
        self._weigh(np.array(slots, np.int64))
        return len(slots)

    def give_back(self, task_ids: Iterable[str]) -> None:
        """Tasks drawn could not be attempted: they may be drawn again, new ones first of all."""
        slots = {slot for task_id in task_ids if (slot := self._table.slot(task_id)) is not None}
        self._come_back(np.array([slot for slot in sorted(slots) if self._table.rows[slot]["out"]], np.int64))

    def draw(self, count: int, replay_share: float) -> list[Task]:
        """Tasks to attempt: new ones first, with `replay_share` of all draws from those rated before.

        The share holds over calls of any size. Where one kind runs out the other fills its place; fewer than asked for
        come only when nothing else is left.
        """
        self._replay_owed += count * replay_share
        replay = min(int(self._replay_owed + 1e-9), count)
        self._replay_owed -= replay
        new = self.draw_new(count - replay)
        old = self.draw_replay(count - len(new))
        return [*new, *old, *self.draw_new(count - len(new) - len(old))]

    def draw_new(self, count: int) -> list[Task]:
        """Tasks never attempted for training, in order of arrival."""
        slots: list[int] = []
        while self._new and len(slots) < count:
            slot, sequence = self._new[0]
            row = self._table.rows[slot]
            age = self.step - row["added_step"]
            waits = row["held"] and row["sequence"] == sequence and not (row["visits"] or row["out"])
            if waits and age < self.config.rest_steps:
                break  # Whatever came later rests, too.
            self._new.popleft()
            if waits and not (self._replayable(row) and age > self.config.new_steps):
                slots.append(slot)
        return self._send_out(np.array(slots, np.int64))

    def draw_replay(self, count: int) -> list[Task]:
        """Tasks rated before, different ones, by priority."""
        return self._send_out(self._training.draw_distinct(count, self.generator))

    def references(self, count: int) -> list[Task]:
        """Up to `count` different tasks to show a proposer: recent ones rather, no two alike where there is a choice.

        Candidates are drawn by recency; the first is shown, then always the one least alike to all shown. Whether they
        fit into a prompt is for whoever makes it.
        """
        candidates = self._reference.draw_distinct(self.config.reference_pool * count, self.generator)
        return self._least_alike(candidates, count)

    def advance(self, step: int) -> None:
        """The learner is at this step: estimates have aged, and what has been out for too long comes back."""
        self.step = max(self.step, step)
        self._age()

    def resume(self, at: Version) -> None:
        """The learner went back to this step, and goes on under another lineage: time runs from here again.

        What was drawn or rated later was so just now. What was proposed later is old, and new no more: it would take
        the places of the tasks that the steps to come propose. What waits to be drawn is gathered anew, as what was
        too old for that may be new again.
        """
        self.step, self.lineage, self._begun = at.step, at.lineage, at.step
        rows = self._table.used
        for column in ("out_step", "rated_step"):
            np.minimum(rows[column], at.step, out=rows[column])
        rows["added_step"][rows["added_step"] > at.step] = self._long_ago
        waiting = np.flatnonzero(rows["held"] & ~rows["out"] & (rows["visits"] == 0))
        entries = sorted((int(rows["sequence"][slot]), slot) for slot in waiting.tolist())
        self._new = deque((slot, sequence) for sequence, slot in entries)
        self._age()

    def _age(self) -> None:
        """Do what is due at this step."""
        rows = self._table.used
        self._come_back(np.flatnonzero(rows["out"] & (self.step - rows["out_step"] > self.config.out_steps)))
        self._training.assign(self._priorities(rows))
        self._reference.assign(self._recencies(rows))
        if len(self._new) > 2 * self.config.capacity:
            sequence = self._table.rows["sequence"]
            self._new = deque(entry for entry in self._new if sequence[entry[0]] == entry[1])

    def state(self) -> BufferState:
        """Everything, to be written: a buffer made of it draws what this one would have drawn."""
        return BufferState(
            schema=SCHEMA,
            step=self.step,
            replay_owed=self._replay_owed,
            evicted=self.evicted,
            duplicates=self.duplicates,
            table=self._table.state(),
            new=list(self._new),
            generator=json.dumps(self.generator.bit_generator.state),
            training=self._training.weights.tobytes(),
            reference=self._reference.weights.tobytes(),
            lineage=self.lineage,
            begun=self._begun,
        )

    @classmethod
    def from_state(cls, state: BufferState, config: BuffersConfig) -> TaskBuffer:
        """The buffer that was written; its capacity is kept, the rest of the configuration may have changed."""
        if state.schema != SCHEMA:
            raise ValueError(f"a buffer of schema {state.schema} cannot be read by schema {SCHEMA}")
        if config.capacity != len(state.table.tasks):
            raise ValueError(f"the buffer was written with capacity {len(state.table.tasks)}, not {config.capacity}")
        buffer = cls(config, np.random.default_rng())
        buffer.generator.bit_generator.state = json.loads(state.generator)
        buffer.step, buffer._replay_owed = state.step, state.replay_owed
        buffer.lineage, buffer._begun = state.lineage, state.begun
        buffer.evicted, buffer.duplicates = state.evicted, state.duplicates
        buffer._table = TaskTable.from_state(state.table)
        buffer._new.extend(state.new)
        buffer._training.assign(np.frombuffer(state.training))
        buffer._reference.assign(np.frombuffer(state.reference))
        return buffer

    def status(self) -> Status:
        """What a person watches."""
        rows = self._table.used[self._table.used["held"]]
        rated = rows[rows["rated"]]
        return Status(
            tasks=len(rows),
            new=int(np.count_nonzero(~rows["rated"] & ~rows["out"])),
            out=int(np.count_nonzero(rows["out"])),
            programs=self._table.programs,
            evicted=self.evicted,
            duplicates=self.duplicates,
            mean_visits=float(rows["visits"].mean()) if len(rows) else 0.0,
            mean_estimate_age=float((self.step - rated["rated_step"]).mean()) if len(rated) else 0.0,
            mean_learnability=float(self._learnabilities(rated).mean()) if len(rated) else 0.0,
        )

    @property
    def _long_ago(self) -> int:
        """The birth of what was proposed in steps that were undone: neither does it rest, nor is it new."""
        return self._begun - self.config.new_steps - 1

    def _send_out(self, slots: Slots) -> list[Task]:
        rows = self._table.rows
        rows["visits"][slots] += 1
        rows["out"][slots] = True
        rows["out_step"][slots] = self.step
        self._weigh(slots)
        return self._table.tasks_at(slots)

    def _come_back(self, slots: Slots) -> None:
        """Undo a draw."""
        rows = self._table.rows
        rows["out"][slots] = False
        rows["visits"][slots] -= 1
        unrated = slots[~rows["rated"][slots]]
        newest_first = unrated[np.argsort(-rows["sequence"][unrated])]
        self._new.extendleft((slot, int(rows["sequence"][slot])) for slot in newest_first.tolist())
        self._weigh(slots)

    def _least_alike(self, candidates: Slots, count: int) -> list[Task]:
        """So many of these, each the least alike to those shown before it."""
        likeness = self._table.rows["likeness"][candidates]
        distance = np.full(len(candidates), 65, np.int64)
        shown: list[int] = []
        for _ in candidates[:count]:
            best = int(distance.argmax())
            shown.append(best)
            distance = np.minimum(distance, np.bitwise_count(likeness ^ likeness[best]).astype(np.int64))
            distance[best] = -1
        return self._table.tasks_at(candidates[shown])

    def _enter(self, tasks: Sequence[Task]) -> Slots:
        """Put new tasks, no more than the buffer holds at all, into their slots."""
        self.evict(self.leaving_for(len(tasks)))
        slots = []
        for task in tasks:
            slots.append(slot := self._table.enter(task))
            if task.born.lineage < self.lineage and task.born.step > self._begun:
                self._table.rows["added_step"][slot] = self._long_ago  # its proposer had not heard of the resume
            self._new.append((slot, self._table.sequence - 1))
        entered = np.array(slots, np.int64)
        self._weigh(entered)
        self._reference.update(entered, self._recencies(self._table.rows[entered]))
        return entered

    def _weigh(self, slots: Slots) -> None:
        """Bring the priorities of these slots up to date with their rows."""
        self._training.update(slots, self._priorities(self._table.rows[slots]))

    def _learnabilities(self, rows: Rows) -> priority.Column:
        age = self.step - rows["rated_step"]
        return priority.learnability(rows["right"], rows["wrong"], age, self.config.age_half_life)

    def _priorities(self, rows: Rows) -> priority.Column:
        """Priorities of rows; zero where there is nothing to draw."""
        weights = np.ones(len(rows))
        if self.config.selection == "learnability":
            weights = (
                self._learnabilities(rows)
                * priority.novelty(np.maximum(self._table.copies[rows["program"]], 1), self.config.novelty_exponent)
                * priority.freshness(rows["visits"], self.config.visit_exponent)
            )
        rested = self.step - rows["added_step"] >= self.config.rest_steps
        return np.where(rows["held"] & self._replayable(rows) & rested & ~rows["out"], weights, 0.0)

    def _replayable(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """What the sum-tree may hold: what was rated; with uniform draws also what is new no more, rated or not."""
        if self.config.selection == "uniform":
            return rows["rated"] | (self.step - rows["added_step"] > self.config.new_steps)
        return rows["rated"]

    def _recencies(self, rows: Rows) -> priority.Column:
        age = self.step - rows["added_step"]
        weights = priority.recency(age, self.config.reference_half_life, self.config.reference_floor)
        return np.where(rows["held"], weights, 0.0)
