"""What the back end and its zygote say to each other over two pipes.

Pure standard library: the zygote loads it by path.

back end                                   zygote
   │ ◄── length, measures that hold ──────── │  once, when it is ready
   │ ── length, limits, guest's request ──►  │  forks, watches, kills
   │ ◄── length, ending, CPU, payload ────── │
"""

from __future__ import annotations

import json
import struct
from typing import NamedTuple

#: A frame's length before its body.
LENGTH = struct.Struct("<I")

_TASK = struct.Struct("<ddQI")
_ENDING = struct.Struct("<BQ")

#: The measure without which nothing is run unless the back end was told otherwise.
FILTER = "system-call filter"

#: How a child ended: with an answer, killed at its CPU limit or its wall limit, broken without an answer, left by its
#: program, killed at its wall limit while it waited for what nobody would give it, killed by somebody else, or cut
#: short in an answer that is longer than any may be.
ANSWERED, CPU_LIMIT, WALL_LIMIT, GONE, LEFT, ASLEEP, KILLED, TOO_LONG = range(8)


class Task(NamedTuple):
    """One request for one child, with what it may use."""

    cpu_seconds: float
    wall_seconds: float
    memory_bytes: int
    response_bytes: int
    request: bytes


class Ending(NamedTuple):
    """How the child ended. `payload` is the guest's response, or the reason in words."""

    how: int
    cpu_nanoseconds: int
    payload: bytes


def pack_measures(measures: dict[str, bool]) -> bytes:
    """Which measures hold, as a frame."""
    body = json.dumps(measures).encode()
    return LENGTH.pack(len(body)) + body


def unpack_measures(body: bytes) -> dict[str, bool]:
    """The measures in a frame's body."""
    measures: dict[str, bool] = json.loads(body)
    return measures


def pack_task(task: Task) -> bytes:
    """The task as a frame."""
    limits = (task.cpu_seconds, task.wall_seconds, task.memory_bytes, task.response_bytes)
    body = _TASK.pack(*limits) + task.request
    return LENGTH.pack(len(body)) + body


def unpack_task(body: bytes) -> Task:
    """The task in a frame's body."""
    cpu_seconds, wall_seconds, memory_bytes, response_bytes = _TASK.unpack_from(body)
    return Task(cpu_seconds, wall_seconds, memory_bytes, response_bytes, body[_TASK.size :])


def pack_ending(ending: Ending) -> bytes:
    """The ending as a frame."""
    body = _ENDING.pack(ending.how, ending.cpu_nanoseconds) + ending.payload
    return LENGTH.pack(len(body)) + body


def unpack_ending(body: bytes) -> Ending:
    """The ending in a frame's body."""
    how, cpu_nanoseconds = _ENDING.unpack_from(body)
    return Ending(how, cpu_nanoseconds, body[_ENDING.size :])
