"""What makes two tasks the same task: the one identity by which gate, seeding and buffers tell tasks apart.

    program ─► normal form (taken inside the sandbox) ─┐
    task ────► TaskType.apart_by ──────────────────────┴─► digest = Task.fingerprint ─► Task.id

A task repeats another when it asks the solver the same thing about the same program, whatever names, comments and
layout the program has. What it asks is the task type's to say: deduction is told apart by its input, abduction by its
output (any input that gives it is right), induction by its set of inputs, whatever the message.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

import msgspec

from azr.game.types import Task

#: What makes two tasks the same: the program and what is asked about it, or (single-pair tasks) the program alone.
DuplicateBy = Literal["program_and_inputs", "program"]

#: 16 bytes: among 10^9 tasks the chance of any collision is below 10^-20.
DIGEST_BYTES = 16


class Kind(Protocol):
    """As much of a task type as tells its tasks apart."""

    name: str

    def apart_by(self, task: Task) -> Sequence[str]:
        """What tells the type's tasks over one program apart."""
        ...


def fingerprint(normal_form: str, parts: Iterable[str]) -> str:
    """Equal for the same program and the same parts."""
    hasher = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for part in (normal_form, *parts):
        encoded = part.encode("utf-8", "surrogatepass")
        hasher.update(len(encoded).to_bytes(8, "little"))
        hasher.update(encoded)
    return hasher.hexdigest()


def identified(kind: Kind, task: Task, duplicate_by: DuplicateBy) -> Task:
    """The task as one of this type, with the fingerprint and the id that follow from what it asks."""
    alone = duplicate_by == "program" and len(task.inputs) == 1
    mark = fingerprint(task.normal_form, () if alone else kind.apart_by(task))
    return msgspec.structs.replace(task, task_type=kind.name, id=f"{kind.name}-{mark}", fingerprint=mark)
