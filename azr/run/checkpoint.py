"""What a run adds to the learner's checkpoint, so that one folder holds everything.

Written by the batch source on rank 0 while the checkpoint is still aside; the learner's marker, last, makes all of it
count at once. Read by a resume.

    checkpoints/step_N/
        (the learner's tensors)   run_state.msgpack     lineage, baselines, memories of reward terms, token counts
        learner.json (marker)     experience.snapshot   groups, leases, ledger and bodies, all shards
        config.yaml, run.json     tasks.snapshot        buffers with priorities and random generators, all shards
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from azr.advantages import Baselines
from azr.decoding import UNDECODABLE
from azr.errors import AzrError
from azr.files import write_bytes
from azr.game.types import Version
from azr.run.batches import Memory

STATE = "run_state.msgpack"
EXPERIENCE = "experience.snapshot"
TASKS = "tasks.snapshot"
#: Raised with every change of `RunState` after which older ones cannot be read; fields it has no more are passed over.
SCHEMA = 1


class RunState(msgspec.Struct, frozen=True, kw_only=True):
    """What outlasts a batch, beside tensors and services."""

    step: int
    lineage: int
    baselines: bytes
    terms: dict[str, bytes]
    flat_tokens: int
    withheld_tokens: int = 0
    safety: bytes = b""
    """What the safety watch remembers; empty when it is off."""
    schema: int = SCHEMA

    @classmethod
    def of(cls, version: Version, memory: Memory, safety: bytes = b"") -> RunState:
        """The state beside the weights of this version."""
        return cls(
            step=version.step,
            lineage=version.lineage,
            baselines=memory.baselines.to_bytes(),
            terms=memory.terms,
            flat_tokens=memory.flat_tokens,
            withheld_tokens=memory.withheld_tokens,
            safety=safety,
        )

    @property
    def version(self) -> Version:
        """The weights it belongs to."""
        return Version(self.lineage, self.step)

    def memory(self) -> Memory:
        """The memory as it was."""
        return Memory(
            baselines=Baselines.from_bytes(self.baselines),
            terms=dict(self.terms),
            flat_tokens=self.flat_tokens,
            withheld_tokens=self.withheld_tokens,
        )


def write_state(folder: Path, state: RunState, *, experience: bytes | None, tasks: bytes | None) -> None:
    """Write the state; snapshots are left out where they are None."""
    if experience is not None:
        write_bytes(folder / EXPERIENCE, experience)
    if tasks is not None:
        write_bytes(folder / TASKS, tasks)
    write_bytes(folder / STATE, msgspec.msgpack.encode(state))


def read_state(folder: Path) -> RunState:
    """The state in a checkpoint, or why there is none that this azr can read."""
    try:
        state = msgspec.msgpack.decode((folder / STATE).read_bytes(), type=RunState)
    except FileNotFoundError:
        raise AzrError(
            f"{folder} is no checkpoint of a run: it has no {STATE}",
            "resume the folder of a run of azr train; azr sft continues by itself",
        ) from None
    except UNDECODABLE as error:
        raise AzrError(f"{folder / STATE} cannot be read: {error}", "resume from another checkpoint") from error
    if state.schema != SCHEMA:
        raise AzrError(
            f"{folder} was written by another version of azr (schema {state.schema}, this one reads {SCHEMA})",
            "resume with the azr that wrote it",
        )
    return state


def read_snapshot(folder: Path, name: str) -> bytes | None:
    """A snapshot, or None where the checkpoint was written without."""
    path = folder / name
    return path.read_bytes() if path.exists() else None
