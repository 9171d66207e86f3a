"""Deduction: given a program and an input, predict the output.

propose: references ─► program + input ─gate─► Task(program, input, output)
solve:   program + input ─► a literal ─► the same value as the output?      nothing is run to judge an answer
"""

from __future__ import annotations

from collections.abc import Sequence

from azr.game import gate, verification
from azr.game.gate import GateRules
from azr.game.plan import Plan
from azr.game.tasks import common
from azr.game.tasks.base import Ask, Style
from azr.game.templates import fenced, filled
from azr.game.types import Candidate, Refusal, Task, Verdict
from azr.game.verification import VerifyRules


class Deduction:
    """Predict what a program returns."""

    name = "deduction"
    least_references = 0

    def propose_prompt(self, ask: Ask, style: Style) -> str:
        """Ask for a program and an input whose output is hard to predict."""
        return filled(f"{style}/deduction.propose", references=common.references(ask.references, style))

    def solve_prompt(self, task: Task, style: Style) -> str:
        """Show the program and the input."""
        if style == "compact":
            return filled("compact/deduction.solve", program=task.program, input=task.inputs[0])
        return filled(
            "full/deduction.solve", program=common.shown_program(task.program), input=fenced("input", task.inputs[0])
        )

    def parse_proposal(self, text: str, ask: Ask, style: Style) -> Candidate | Refusal:  # noqa: ARG002
        """A program and one input."""
        return common.read_program_and_input(text, style)

    def gate(self, candidate: Candidate, rules: GateRules) -> Plan[Task | Refusal]:
        """The program runs on the input and always gives the same value, which has a literal form."""
        return (yield from gate.single_run(self, candidate, rules))

    def apart_by(self, task: Task) -> Sequence[str]:
        """The input."""
        return task.inputs

    def parse_answer(self, text: str, style: Style) -> str | Refusal:
        """One literal."""
        return common.read_datum(text, "output", style)

    def known_answer(self, task: Task, style: Style) -> tuple[str, str]:
        """The output."""
        return task.outputs[0], common.written_datum(task.outputs[0], "output", style)

    def verify(self, task: Task, answer: str, rules: VerifyRules) -> Plan[Verdict]:
        """The answer, read once as data, is the same value as the output."""
        expected = yield from verification.expected_forms(task, rules)
        if isinstance(expected, Verdict):
            return expected
        value = yield from verification.read_answer(answer, "value", rules)
        if isinstance(value, Verdict):
            return value
        if rules.form(value) == expected[0]:
            return verification.CORRECT
        return verification.fell_short("wrong", value.literal)

    def example(self) -> Task:
        """Counting with a running state."""
        return Task(
            id="deduction-example",
            task_type=self.name,
            program=EXAMPLE_PROGRAM,
            inputs=("[3, 1, 4, 1, 5], 2",),
            outputs=("[4, 8, 9, 14]",),
        )


EXAMPLE_PROGRAM = """\
def f(numbers, step):
    total, kept = 0, []
    for number in numbers:
        total = total + number if number % step else total * step
        if total not in kept and number != 3:
            kept.append(total)
    return kept"""
