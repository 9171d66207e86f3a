"""Error prediction, an option: given a program and an input, name the class of the exception, or say NoError.

    propose: references ─► program + input ─gate─► Task(program, input, class name or NoError)
    solve:   program + input ─► a name ─► the same name?                       nothing is run to judge an answer

A task whose ending depends on the interpreter's limits (recursion, memory, fuel) is no task: nobody could foresee it.
Nor is one that leaves the interpreter, which raises nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from azr.game import gate, verification
from azr.game.gate import GateRules
from azr.game.plan import Plan
from azr.game.reasons import refused
from azr.game.tasks import common
from azr.game.tasks.base import Ask, Style
from azr.game.templates import fenced, filled
from azr.game.types import Candidate, Refusal, Task, Verdict
from azr.game.verification import VerifyRules
from sandbox_wasm.protocol import PROCESS_EXIT, Outcome

#: What stands for a call that returns.
NO_ERROR = "NoError"

#: What the interpreter's limits raise rather than the program's logic, and leaving it, which raises nothing.
_OF_THE_ENVIRONMENT = frozenset({"RecursionError", "MemoryError", PROCESS_EXIT})

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_ANSWER = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]{0,99}\.){0,9}([A-Za-z_][A-Za-z0-9_]{0,99})[ \t]*(?::.*)?", re.DOTALL)


class ErrorPrediction:
    """Foresee how a call ends."""

    name = "error"
    least_references = 0

    def propose_prompt(self, ask: Ask, style: Style) -> str:
        """Ask for a program and an input whose ending is hard to foresee."""
        return filled(f"{style}/error.propose", references=common.references(ask.references, style))

    def solve_prompt(self, task: Task, style: Style) -> str:
        """Show the program and the input."""
        if style == "compact":
            return filled("compact/error.solve", program=task.program, input=task.inputs[0])
        return filled(
            "full/error.solve", program=common.shown_program(task.program), input=fenced("input", task.inputs[0])
        )

    def parse_proposal(self, text: str, ask: Ask, style: Style) -> Candidate | Refusal:  # noqa: ARG002
        """A program and one input."""
        return common.read_program_and_input(text, style)

    def gate(self, candidate: Candidate, rules: GateRules) -> Plan[Task | Refusal]:
        """The call always ends in the same way: with one value, or with one class of exception."""
        examined = yield from gate.examine(candidate.program, candidate.inputs, rules)
        if isinstance(examined, Refusal):
            return examined
        outcomes = yield from gate.run_probes(candidate.program, examined.inputs, rules)
        if isinstance(outcomes, Refusal):
            return outcomes
        ending = _ending(outcomes[0])
        if isinstance(ending, Refusal):
            return ending
        return gate.task_of(self, candidate, examined, outputs=[ending], output_keys=[ending], rules=rules)

    def apart_by(self, task: Task) -> Sequence[str]:
        """The input."""
        return task.inputs

    def parse_answer(self, text: str, style: Style) -> str | Refusal:
        """A name, with or without a message after it."""
        return common.read_datum(text, "output", style)

    def known_answer(self, task: Task, style: Style) -> tuple[str, str]:
        """The name."""
        return task.outputs[0], common.written_datum(task.outputs[0], "output", style)

    def verify(self, task: Task, answer: str, rules: VerifyRules) -> Plan[Verdict]:  # noqa: ARG002
        """The class is named exactly; its module before it and a message after it are passed over."""
        yield from ()
        match = _ANSWER.fullmatch(answer.strip().strip("'\""))
        if match is None:
            return verification.malformed("not_error_name", answer)
        if match[1] == task.outputs[0]:
            return verification.CORRECT
        return verification.fell_short("wrong", match[1])

    def example(self) -> Task:
        """A loop that takes one element too many."""
        return Task(
            id="error-example",
            task_type=self.name,
            program=_EXAMPLE_PROGRAM,
            inputs=("[4, 2, 1], 3",),
            outputs=("IndexError",),
        )


def _ending(outcome: Outcome) -> str | Refusal:
    if outcome.status != "error":
        values = gate.values_of([outcome])
        return values if isinstance(values, Refusal) else NO_ERROR
    name = gate.error_class(outcome)
    if name in _OF_THE_ENVIRONMENT:
        return refused("environment_error", name)
    if name == NO_ERROR or not _NAME.fullmatch(name):
        return refused("error_name", name)
    return name


_EXAMPLE_PROGRAM = """\
def f(numbers, rounds):
    for _ in range(rounds):
        numbers = [numbers[index] - numbers[index + 1] for index in range(len(numbers) - 1)]
    return numbers[0]"""
