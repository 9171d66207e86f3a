"""The rows of a task buffer: one a task, found by its id, by what identifies it, and by its program.

Owned by `azr.buffers.task_buffer`, which decides what enters, leaves and is drawn; nothing here does. Numbers live in
one numpy array that is worked on by columns and written as it is.

      task id ──┐
      mark ─────┼──► slot ──► rows[slot] (numbers), tasks[slot]
                              rows[slot].program ──► copies (tasks that share the program)
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from azr.buffers.likeness import likeness
from azr.game.types import Task

Slots = npt.NDArray[np.int64]
Rows = npt.NDArray[Any]

ROW = np.dtype(
    [
        ("held", "?"),
        ("rated", "?"),
        ("out", "?"),
        ("right", "f8"),
        ("wrong", "f8"),
        ("rated_step", "i8"),
        ("out_step", "i8"),
        ("added_step", "i8"),
        ("sequence", "i8"),
        ("visits", "i4"),
        ("program", "i4"),
        ("likeness", "u8"),
    ]
)


class TableState(msgspec.Struct):
    """A table as it is written to checkpoints."""

    tasks: list[Task | None]
    rows: bytes
    free: list[int]
    free_programs: list[int]
    sequence: int


class TaskTable:
    """Up to `capacity` tasks and their numbers."""

    def __init__(self, capacity: int) -> None:
        self.rows: Rows = np.zeros(capacity, ROW)
        self.copies = np.zeros(capacity, np.int64)
        """Tasks that share a program, by the program's number."""
        self.sequence = 0
        """Tasks that ever entered."""
        self._used = 0
        self._tasks: list[Task | None] = [None] * capacity
        self._slots: dict[str, int] = {}
        self._fingerprints: dict[str, int] = {}
        self._programs: dict[str, int] = {}
        self._free = list(range(capacity - 1, -1, -1))
        self._free_programs = list(range(capacity - 1, -1, -1))

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def full(self) -> bool:
        """Whether something must leave before anything can enter."""
        return not self._free

    @property
    def programs(self) -> int:
        """Different programs held."""
        return len(self._programs)

    @property
    def used(self) -> Rows:
        """The rows from the first to the last that ever held a task: slots are given from the first on."""
        return self.rows[: self._used]

    def slot(self, task_id: str) -> int | None:
        """Where a task is."""
        return self._slots.get(task_id)

    def holds(self, fingerprint: str) -> bool:
        """Whether the task identified by this is held."""
        return fingerprint in self._fingerprints

    def tasks_at(self, slots: Slots) -> list[Task]:
        """The tasks in these slots; empty ones are passed over."""
        return [task for slot in slots.tolist() if (task := self._tasks[slot]) is not None]

    def enter(self, task: Task) -> int:
        """Put a task into a free slot."""
        slot = self._free.pop()
        self._used = max(self._used, slot + 1)
        self._tasks[slot] = task
        self._slots[task.id] = slot
        self._fingerprints[task.fingerprint] = slot
        program = self._programs.get(task.normal_form)
        if program is None:
            program = self._programs[task.normal_form] = self._free_programs.pop()
        self.copies[program] += 1
        row = self.rows[slot]
        row["held"] = True
        row["added_step"] = task.born.step
        row["sequence"] = self.sequence
        row["program"] = program
        row["likeness"] = likeness(task.program)
        self.sequence += 1
        return slot

    def remove(self, slots: Slots) -> None:
        """Empty these slots."""
        for slot, task in zip(slots.tolist(), self.tasks_at(slots), strict=True):
            del self._slots[task.id]
            del self._fingerprints[task.fingerprint]
            self._tasks[slot] = None
            self._free.append(slot)
            program = self._programs[task.normal_form]
            self.copies[program] -= 1
            if not self.copies[program]:
                del self._programs[task.normal_form]
                self._free_programs.append(program)
        self.rows[slots] = np.zeros(1, ROW)

    def state(self) -> TableState:
        """Everything, to be written."""
        return TableState(
            tasks=list(self._tasks),
            rows=self.rows.tobytes(),
            free=list(self._free),
            free_programs=list(self._free_programs),
            sequence=self.sequence,
        )

    @classmethod
    def from_state(cls, state: TableState) -> TaskTable:
        """The table that was written."""
        table = cls(len(state.tasks))
        table.rows = np.frombuffer(state.rows, ROW).copy()
        table._tasks = list(state.tasks)
        table._free, table._free_programs = list(state.free), list(state.free_programs)
        table.sequence = state.sequence
        for slot, task in enumerate(state.tasks):
            if task is not None:
                table._used = slot + 1
                program = int(table.rows[slot]["program"])
                table._slots[task.id] = slot
                table._fingerprints[task.fingerprint] = slot
                table._programs[task.normal_form] = program
                table.copies[program] += 1
        return table
