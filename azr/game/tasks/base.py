"""The protocol behind which every task type stands, and what it is asked with.

A task type is one file that knows everything about its kind of problem: what a proposer is asked and how its response
is read and judged, what a solver is asked and how its answer is read and verified. Nothing else in azr knows one type
from another; adding one is a file here and a line in `azr.game.tasks`.

      Ask ──propose_prompt──► text … response ──parse_proposal──► Candidate ──gate──► Task
      Task ──solve_prompt───► text … response ──parse_answer────► str ───────verify─► Verdict
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

import msgspec

from azr.game.gate import GateRules
from azr.game.plan import Plan
from azr.game.types import Candidate, Refusal, Task, Verdict
from azr.game.verification import VerifyRules

#: How prompts and responses are laid out: sentences and fenced blocks, or the tiny model's terse lines.
Style = Literal["full", "compact"]


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What a proposer is given."""

    references: tuple[Task, ...] = ()
    """Known tasks to differ from; of induction the one for whose program inputs are invented."""
    components: tuple[str, ...] = ()
    """Composite tasks: programs whose entry is named g_0, g_1, … and must be called."""
    inputs: int = 10
    """Induction: how many inputs to ask for."""


class TaskType(Protocol):
    """One kind of problem."""

    name: str
    """Names the type in cells, metrics, files and on the command line."""

    least_references: int
    """Known tasks without which no proposal can be asked for: 1 where the proposer works on a given program,
    or builds on one, else 0. Where it works on one (`program_is_given`) they are all that it is shown."""

    def propose_prompt(self, ask: Ask, style: Style) -> str:
        """What a proposer is told, before the frame is put around it."""
        ...

    def solve_prompt(self, task: Task, style: Style) -> str:
        """What a solver is told, before the frame is put around it."""
        ...

    def parse_proposal(self, text: str, ask: Ask, style: Style) -> Candidate | Refusal:
        """Read a proposer's answer as text. Never raises."""
        ...

    def gate(self, candidate: Candidate, rules: GateRules) -> Plan[Task | Refusal]:
        """Judge a candidate as the gate does."""
        ...

    def apart_by(self, task: Task) -> Sequence[str]:
        """What tells tasks over one program apart, in canonical text: equal where the solver is asked the same."""
        ...

    def parse_answer(self, text: str, style: Style) -> str | Refusal:
        """Read a solver's answer as text. Never raises."""
        ...

    def verify(self, task: Task, answer: str, rules: VerifyRules) -> Plan[Verdict]:
        """Judge an answer to a task that passed the gate."""
        ...

    def example(self) -> Task:
        """A small task of this kind, for documentation and `azr prompts show`."""
        ...


@runtime_checkable
class KnowsAnAnswer(Protocol):
    """A task type that can write down an answer to its tasks; the gate then sees whether responses could carry it."""

    def known_answer(self, task: Task, style: Style) -> tuple[str, str]:
        """A right answer as `parse_answer` must return it, and the same as the solver's prompt asks to write it."""
        ...


def program_is_given(kind: TaskType) -> bool:
    """Whether proposers of this type work on the program of a known task and write none of their own, as the type's
    attribute `program_is_given` says where it has one: what the program is worth is not theirs to be paid for."""
    return bool(getattr(kind, "program_is_given", False))
