"""What makes two tasks the same task, and two programs alike.

Called by `azr.buffers.task_buffer` when a task comes in. A task repeats another when it asks the solver the same thing
about the same program, whatever names, comments and layout the program has (`Task.normal_form`, a digest that the gate
takes inside the sandbox):

    abduction        program and outputs    any input that gives the output solves it, so the proposed input is no part
    every other      program and inputs     in any order; an induction task with another message is still the same task

The functions that a composite task calls belong to its program.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import numpy as np

from azr.game.types import Task

#: 16 bytes: among 10^9 tasks the chance of any collision is below 10^-20.
DIGEST_BYTES = 16

#: Bytes that are looked at together: long enough to see `x + 1`, short enough to survive a changed line.
SHINGLE_BYTES = 5

_MIX = np.uint64(0x9E3779B97F4A7C15)
_POWERS = np.array([pow(0x100000001B3, power, 1 << 64) for power in range(SHINGLE_BYTES)], np.uint64)


def _by_inputs(task: Task) -> Iterable[str]:
    return sorted(text.strip() for text in task.inputs)


def _by_outputs(task: Task) -> Iterable[str]:
    return sorted(task.output_keys or (text.strip() for text in task.outputs))


#: Task types whose tasks are told apart by something else than their inputs.
IDENTITIES: dict[str, Callable[[Task], Iterable[str]]] = {"abduction": _by_outputs}


def digest(task: Task) -> bytes:
    """Equal for tasks that are the same task."""
    parts = (task.normal_form, *task.components, "", *IDENTITIES.get(task.task_type, _by_inputs)(task))
    hasher = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        hasher.update(len(encoded).to_bytes(8, "little"))
        hasher.update(encoded)
    return hasher.digest()


def likeness(text: str) -> int:
    """64 bits of which two texts share the more, the more of their shingles they share (a SimHash)."""
    data = np.frombuffer(text.encode("utf-8", "surrogatepass").ljust(SHINGLE_BYTES), np.uint8).astype(np.uint64)
    count = len(data) - SHINGLE_BYTES + 1
    hashes = np.zeros(count, np.uint64)
    for position, power in enumerate(_POWERS):
        hashes += data[position : position + count] * power
    hashes ^= hashes >> np.uint64(29)
    hashes *= _MIX
    hashes ^= hashes >> np.uint64(32)
    bits = np.unpackbits(hashes.view(np.uint8).reshape(count, 8), axis=1)
    return int.from_bytes(np.packbits(bits.mean(axis=0) > 0.5).tobytes(), "big")
