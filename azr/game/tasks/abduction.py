"""Abduction: given a program and an output, find an input that gives it.

    propose: references ─► program + input ─gate─► Task(program, input, output)
    solve:   program + output ─► arguments ─read as data─► program run on them ─► the same value as the output?

The answer is never pasted into code: the guest reads it as a list of arguments, and what is fed to the program is the
canonical text of what was read.
"""

from __future__ import annotations

from collections.abc import Sequence

from azr.game import gate, parsing, verification
from azr.game.gate import GateRules
from azr.game.plan import Plan
from azr.game.tasks import common
from azr.game.tasks.base import Ask, Style
from azr.game.templates import fenced, filled
from azr.game.types import Candidate, Refusal, Task, Verdict
from azr.game.verification import VerifyRules


class Abduction:
    """Find an input for a given output."""

    name = "abduction"
    least_references = 0

    def propose_prompt(self, ask: Ask, style: Style) -> str:
        """Ask for a program whose input is hard to recover from its output."""
        return filled(f"{style}/abduction.propose", references=common.references(ask.references, style))

    def solve_prompt(self, task: Task, style: Style) -> str:
        """Show the program and the output."""
        if style == "compact":
            return filled("compact/abduction.solve", program=task.program, output=task.outputs[0])
        return filled(
            "full/abduction.solve", program=common.shown_program(task.program), output=fenced("output", task.outputs[0])
        )

    def parse_proposal(self, text: str, ask: Ask, style: Style) -> Candidate | Refusal:  # noqa: ARG002
        """A program and one input."""
        return common.read_program_and_input(text, style)

    def gate(self, candidate: Candidate, rules: GateRules) -> Plan[Task | Refusal]:
        """The program runs on the input and always gives the same value, which has a literal form."""
        return (yield from gate.single_run(self, candidate, rules))

    def apart_by(self, task: Task) -> Sequence[str]:
        """The output: any input that gives it is right, so the proposed one is no part of the task."""
        return task.output_keys

    def parse_answer(self, text: str, style: Style) -> str | Refusal:
        """A list of arguments."""
        answer = common.read_datum(text, "input", style)
        return answer if isinstance(answer, Refusal) else parsing.arguments_of(answer)

    def known_answer(self, task: Task, style: Style) -> tuple[str, str]:
        """The input that was proposed, one of those that are right."""
        return task.inputs[0], common.written_datum(task.inputs[0], "input", style)

    def verify(self, task: Task, answer: str, rules: VerifyRules) -> Plan[Verdict]:
        """The program, called with the answer, gives the output; an answer that does not bind ends in an error."""
        expected = yield from verification.expected_forms(task, rules)
        if isinstance(expected, Verdict):
            return expected
        arguments = yield from verification.read_answer(answer, "arguments", rules)
        if isinstance(arguments, Verdict):
            return arguments
        return (yield from verification.gives_expected(task.program, (arguments.literal,), expected, rules))

    def example(self) -> Task:
        """A string rebuilt from both ends."""
        return Task(
            id="abduction-example",
            task_type=self.name,
            program=_EXAMPLE_PROGRAM,
            inputs=("'parse', 2",),
            outputs=("'apesr'",),
        )


_EXAMPLE_PROGRAM = """\
def f(word, turns):
    for turn in range(turns):
        word = word[-2:] + word[:-2] if turn % 2 else word[::-1]
    return word[::-1] if word[0] > word[-1] else word"""
