"""Tasks made up for the tests of the buffers."""

from __future__ import annotations

import numpy as np

from azr.buffers import Estimate, TaskBuffer
from azr.config.sections.buffers import BuffersConfig
from azr.game.types import Task, Version


def task(number: int, *, program: int | None = None, step: int = 0, task_type: str = "deduction") -> Task:
    """The task of this number; those of one `program` differ in their input."""
    which = number if program is None else program
    return Task(
        id=f"task-{number}",
        task_type=task_type,
        program=f"def f(x):\n    total_{which} = x * {which}\n    return [total_{which}] * {which % 17}",
        inputs=(str(number),),
        outputs=(repr([number]),),
        normal_form=f"program-{which}",
        fingerprint=f"program-{which}, input {number}",
        born=Version(0, step),
    )


def buffer_of(count: int = 0, *, seed: int = 0, **config: object) -> TaskBuffer:
    """A buffer with the first `count` tasks, none rated."""
    options = {"capacity": 64, **config}
    buffer = TaskBuffer(BuffersConfig(**options), np.random.default_rng(seed))  # type: ignore[arg-type]
    buffer.add_many([task(number) for number in range(count)])
    return buffer


def rate(buffer: TaskBuffer, *correct: int, attempts: int = 8, step: int = 0) -> None:
    """Rate the first tasks by how many attempts at each were right."""
    buffer.rate_many([Estimate(f"task-{number}", right, attempts, step) for number, right in enumerate(correct)])


def mass(buffer: TaskBuffer) -> float:
    """The sum of the priorities of all that may be drawn."""
    return buffer._training.total


def names(tasks: list[Task]) -> list[int]:
    """The numbers of tasks."""
    return [int(one.id.removeprefix("task-")) for one in tasks]
