"""What an intrinsic term of the proposer's reward is, and what it may look at.

A term is a class made with the options of its configuration. It judges a whole batch of proposals at once, since some
(cluster share) compare them; it may remember what it has seen (answer diversity), and then its memory is checkpointed.
Users add their own through the entry-point group `azr.rewards`; `docs/examples/own_reward` is a working one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sandbox_wasm.protocol import Facts

#: Tokens of a program's tree that terms look at. The gate lets far shorter programs in; this bounds time and memory
#: whatever it does.
MAX_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class Answer:
    """A value that a task is about, as the sandbox reports it."""

    type_name: str
    key: str


@dataclass(frozen=True, slots=True)
class RatedProposal:
    """All that is known of a proposal when its reward is due."""

    valid: bool
    """The response was well-formed and the gate let the task in."""
    right: int = 0
    """Attempts that solved it."""
    attempts: int = 0
    """Attempts that were judged; those that ended in `retry` are not."""
    program: str = ""
    facts: Facts | None = None
    """What the sandbox said of the program's syntax; needed by complexity, edit distance and Halstead."""
    references: tuple[Facts, ...] = ()
    """Of the programs that were shown to the proposer."""
    program_given: bool = False
    """The proposer was given the program and wrote none (induction)."""
    answers: tuple[Answer, ...] = ()
    """The task's outputs, also where the solver is asked for an input (abduction) or a program (induction)."""


@runtime_checkable
class Term(Protocol):
    """An intrinsic term: one value a proposal, meant to lie in [0, 1].

    One that pays for the program itself says so by an attribute `judges_program` that is true; then it is not asked
    about proposals whose program was given to their proposer.

    It is made once in the life of the learner's first rank. What it remembers from batch to batch is written to
    checkpoints, and taken back with steps that are undone, only where it is `Remembering`.
    """

    def values(self, batch: Sequence[RatedProposal]) -> list[float]:
        """Judge proposals, all of them valid and learnable."""
        ...


@runtime_checkable
class Remembering(Protocol):
    """A term with a memory that outlasts the batch. It is restored before each, also to what a new one writes."""

    def to_bytes(self) -> bytes:
        """The memory, for a checkpoint."""
        ...

    def restore(self, content: bytes) -> None:
        """Take up the memory of a checkpoint."""
        ...


def judges_program(term: Term) -> bool:
    """Whether the term pays for the program itself, by its own word."""
    return bool(getattr(term, "judges_program", False))


def facts_of(proposal: RatedProposal, term: str) -> Facts:
    """The proposal's facts, or an error naming the term that needs them."""
    if proposal.facts is None:
        raise ValueError(f"the reward term `{term}` needs the facts of the program: send an InspectJob first")
    return proposal.facts
