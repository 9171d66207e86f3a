"""What travels between the parts of azr: immutable records with a msgpack form.

Owns the nouns of the game (Task, Proposal, Attempt, Trajectory, Verdict) and their wire format. Made by proposers and
solvers, kept by the task and experience services, consumed by the learner, written to checkpoints.

      Proposal ──gate──► Task ──n attempts──► Attempt ──verify──► Verdict
         │                                       │
         └────────────── Trajectory ◄────────────┘      (tokens, behaviour log-probs, version spans)
"""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from sandbox_wasm.protocol import Facts

#: Version of the wire and checkpoint format of every record here; a reader refuses one it does not know.
SCHEMA_VERSION = 1

Role = Literal["propose", "solve"]


class Cell(msgspec.Struct, frozen=True, order=True):
    """One of the game's cells: a task type in one of the two roles. Quotas, weights and baselines are kept per cell."""

    task: str
    role: Role

    def __str__(self) -> str:
        return f"{self.task}/{self.role}"

    @classmethod
    def of(cls, text: str) -> Cell:
        """The cell named like `deduction/solve`."""
        task, _, role = text.partition("/")
        if not task or role not in ("propose", "solve"):
            raise ValueError(f"not a cell: {text!r}; write it as task/role, for example deduction/solve")
        return cls(task=task, role="propose" if role == "propose" else "solve")


class Version(msgspec.Struct, frozen=True, order=True):
    """Which weights: the lineage (a new one begins whenever a driver resumes) and the learner step that made them."""

    lineage: int
    step: int


#: What seeds are made by: they are there before the first step, so they are tasks of the step before it.
BEFORE_THE_FIRST = Version(0, -1)


class VersionSpan(msgspec.Struct, frozen=True):
    """Tokens `start` to `end` (exclusive) of a response were sampled from weights `version`."""

    start: int
    end: int
    version: Version


class Refusal(msgspec.Struct, frozen=True):
    """Why something a model wrote was not taken: a word of `azr.game.reasons`, and hostile text made safe to show."""

    reason: str
    detail: str = ""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """What a proposal says, read as text and not yet judged: the gate makes a Task of it, or refuses it."""

    program: str
    inputs: tuple[str, ...]
    message: str = ""
    components: tuple[str, ...] = ()
    """Composite tasks: the renamed programs that were given, with which `program` begins."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A problem that passed the gate. Deduction and abduction have one pair, induction several and a message."""

    id: str
    task_type: str
    program: str
    inputs: tuple[str, ...]
    """Argument texts."""
    outputs: tuple[str, ...]
    """Literal texts of the values, in the order of the inputs."""
    output_keys: tuple[str, ...] = ()
    """The same values in the form that is compared (see `sandbox_wasm.protocol.Value.key`)."""
    output_types: tuple[str, ...] = ()
    """Names of the types of the values, for what judges diversity; empty where an output is no value."""
    message: str = ""
    shown: int = 0
    """Induction: how many of the pairs the solver sees; the rest is hidden."""
    normal_form: str = ""
    """Digest of the normalised syntax tree: equal for programs that differ in names and layout only."""
    fingerprint: str = ""
    """Equal for tasks that are the same task; see `azr.game.identity`. Empty until the gate gives one."""
    born: Version = BEFORE_THE_FIRST
    """The weights that proposed it, the oldest of them; of a seed, the step before the first."""
    references: tuple[str, ...] = ()
    """Ids of the tasks shown to the proposer."""
    components: tuple[str, ...] = ()
    """Composite tasks: the programs named g_0, g_1, … that the entry calls."""


class Verdict(msgspec.Struct, frozen=True):
    """The judgement of one attempt."""

    correct: bool
    well_formed: bool
    reason: str
    """Machine-readable: `correct`, `wrong`, `malformed:<why>`, `error`, `timeout`, `retry`, …"""
    detail: str = ""


class Trajectory(msgspec.Struct, frozen=True, kw_only=True):
    """One sampled response with all that off-policy training needs. Arrays are views of the message they came in."""

    id: str
    cell: Cell
    group: str
    """Samples that are admitted, retried, swept and dropped together."""
    prompt_ids: npt.NDArray[np.int32]
    response_ids: npt.NDArray[np.int32]
    behaviour_logprobs: npt.NDArray[np.float32]
    """Per response token, as the engine sampled it (processed, at the sampling temperature)."""
    spans: tuple[VersionSpan, ...]
    reward: float = 0.0
    reward_version: Version = Version(0, 0)
    """Oldest weights that had a part in the reward: for a proposal, of the attempts that rated it."""
    truncated: bool = False

    @property
    def oldest_version(self) -> Version:
        """The oldest weights that made any token of it, or rated it."""
        return min((span.version for span in self.spans), default=self.reward_version)


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A proposer's response, and the task it became if the gate let it in."""

    trajectory: Trajectory
    task: Task | None
    reason: str
    """`accepted`, or why the gate refused it."""
    detail: str = ""
    facts: Facts | None = None
    """What the syntax of its program says; only where the proposer's reward has a term that may ask."""
    shown: tuple[Facts, ...] = ()
    """The same of the programs that the proposer was shown."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A solver's response to a task, and its verdict."""

    trajectory: Trajectory
    task_id: str
    verdict: Verdict
