"""Published seed files, brought in through the gate.

A line is a JSON object with `snippet`, `input`, `output`, `imports` (a triplet), or with `snippet`, `inputs`,
`outputs`, `message`, `imports` (an induction task). The import lines, kept apart in such files, go back before the
snippet in the order in which they stand; outputs are not believed but computed, and where the file says otherwise that
is counted.

    line ─► PublishedSeed ─► Candidate ─► gate ─► Task            ─► Imported
                 └─ outputs ─► LiteralJob ─► the same values? ──────────┘
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from azr.game import plan
from azr.game.gate import GateRules, refusal_of_text
from azr.game.plan import Plan
from azr.game.tasks import task_type
from azr.game.types import Candidate, Refusal, Task
from sandbox_wasm.protocol import LiteralJob


class PublishedSeed(msgspec.Struct):
    """A line of a published file; fields not named here are passed over."""

    snippet: str
    input: str | None = None
    output: str | None = None
    inputs: list[str] | None = None
    outputs: list[str] | None = None
    message: str = ""
    imports: list[str] | None = None

    def __post_init__(self) -> None:
        if (self.input is None) == (self.inputs is None):
            raise ValueError("a seed has either an input (a triplet) or inputs (an induction task)")

    @property
    def task_type(self) -> str:
        """What the line is a task of; triplets come in as deduction, and a run takes them for abduction as well."""
        return "deduction" if self.inputs is None else "induction"

    @property
    def candidate(self) -> Candidate:
        """The line as a proposal."""
        return Candidate(
            program=assembled(self.imports or (), self.snippet),
            inputs=tuple(self.inputs or (self.input or "",)),
            message=self.message,
        )

    @property
    def stated_outputs(self) -> tuple[str, ...]:
        """The outputs that the file states, as many as it does; none where it leaves them out."""
        if self.inputs is not None:
            return tuple(self.outputs or ())
        return () if self.output is None else (self.output,)


class Imported(msgspec.Struct, frozen=True):
    """What became of one line."""

    outcome: Task | Refusal
    corrected: bool = False
    """The file stated another output than the program gives."""


def assembled(imports: Iterable[str], snippet: str) -> str:
    """The whole program: import lines that the snippet lacks, each once and in their order, then the snippet."""
    present = {line.strip() for line in snippet.splitlines()}
    lacking = [line for line in dict.fromkeys(line.strip() for line in imports) if line and line not in present]
    return "\n".join([*lacking, snippet])


def bring_in(published: PublishedSeed, rules: GateRules) -> Plan[Imported]:
    """Carry one line through the gate, and compare what it states with what its program gives."""
    outcome = yield from task_type(published.task_type).gate(published.candidate, rules)
    if isinstance(outcome, Refusal):
        return Imported(outcome)
    stated = published.stated_outputs
    return Imported(outcome, corrected=bool(stated) and not (yield from _same_values(outcome, stated)))


def _same_values(task: Task, stated: Sequence[str]) -> Plan[bool]:
    if len(stated) != len(task.outputs) or refusal_of_text(*stated) is not None:
        return False
    (result,) = yield from plan.read(LiteralJob(texts=tuple(stated)))
    keys = tuple(outcome.value.key if outcome.value is not None else None for outcome in result.outcomes)
    return keys == task.output_keys
