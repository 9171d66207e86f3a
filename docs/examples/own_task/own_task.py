"""A task type of one's own: foresee the name of the type that a call returns.

Install this folder (`pip install --no-deps --no-build-isolation docs/examples/own_task`) on every machine of the run
and play it beside the others:

    azr train --config tiny algorithm.game.task_types=[deduction,abduction,induction,type_name]

Everything of the type is here: its two prompts, how responses are read, what the gate asks, how answers are judged.
Work in the sandbox is written as a plan: `yield from` hands jobs out and gets results back, whoever runs them.
"""

from __future__ import annotations

from collections.abc import Sequence

from azr.game import gate, verification
from azr.game.gate import GateRules
from azr.game.plan import Plan
from azr.game.tasks import Ask, Style, common
from azr.game.types import Candidate, Refusal, Task, Verdict
from azr.game.verification import VerifyRules


class TypeName:
    """Given a program and an input, answer with `int`, `str`, `list`, …"""

    name = "type_name"
    least_references = 0

    def propose_prompt(self, ask: Ask, style: Style) -> str:
        """Ask for a program whose result's type is hard to foresee, and one input."""
        shown = common.references(ask.references, style)
        return f"{shown}\nWrite another Python function f and one input. The type of its result should surprise."

    def solve_prompt(self, task: Task, style: Style) -> str:  # noqa: ARG002
        """Show the program and the input."""
        return f"{common.shown_program(task.program)}\nWhich type does f({task.inputs[0]}) return? Answer its name."

    def parse_proposal(self, text: str, ask: Ask, style: Style) -> Candidate | Refusal:  # noqa: ARG002
        """A program and one input, as deduction's proposals are written."""
        return common.read_program_and_input(text, style)

    def gate(self, candidate: Candidate, rules: GateRules) -> Plan[Task | Refusal]:
        """The program must run, alike in independent interpreters; the answer is the type of what it returned."""
        examined = yield from gate.examine(candidate.program, candidate.inputs, rules)
        if isinstance(examined, Refusal):
            return examined
        outcomes = yield from gate.run_probes(candidate.program, examined.inputs, rules)
        values = outcomes if isinstance(outcomes, Refusal) else gate.values_of(outcomes)
        if isinstance(values, Refusal):
            return values
        read = yield from gate.round_trip(values, rules.limits)  # a type's name is believed where no program ran
        if isinstance(read, Refusal):
            return read
        kinds = [value.type_name for value in read]
        return gate.task_of(self, candidate, examined, outputs=kinds, output_keys=kinds, rules=rules)

    def apart_by(self, task: Task) -> Sequence[str]:
        """Two tasks of one program differ by their input."""
        return task.inputs

    def parse_answer(self, text: str, style: Style) -> str | Refusal:  # noqa: ARG002
        """The whole answer is a name."""
        return text.strip()

    def verify(self, task: Task, answer: str, rules: VerifyRules) -> Plan[Verdict]:  # noqa: ARG002
        """Names are compared; nothing is run."""
        yield from ()
        return verification.CORRECT if answer == task.outputs[0] else verification.fell_short("wrong", answer)

    def example(self) -> Task:
        """Shown by `azr prompts show type_name/solve`."""
        return Task(
            id="type-name-example",
            task_type=self.name,
            program="def f(a):\n    return {a} if a else a",
            inputs=("3",),
            outputs=("set",),
        )
