"""Induction: given some pairs of input and output and a message, write the program.

    propose: program of a known task ─► N inputs + message ─gate─► Task(program, N pairs, message), the first shown
    solve:   shown pairs + message ─► a program ─run on every input─► all outputs the same?

The hidden pairs judge generalisation; the shown ones must hold as well, because a program that contradicts what it was
shown is not an answer to the question.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from azr.game import gate, parsing, plan, verification
from azr.game.gate import GateRules, refusal_of_text
from azr.game.plan import Plan
from azr.game.reasons import STUMBLES, refused
from azr.game.tasks import common
from azr.game.tasks.base import Ask, Style
from azr.game.tasks.deduction import EXAMPLE_PROGRAM
from azr.game.tasks.lines import told_by
from azr.game.templates import fenced, filled
from azr.game.types import Candidate, Refusal, Task, Verdict
from azr.game.verification import VerifyRules
from sandbox_wasm.protocol import InspectJob

#: A line of a message that is code, whatever surrounds it: a definition, a lambda, a returned expression.
_CODE_LINE = re.compile(
    r"^[ \t>*-]*(?:async[ \t]+def|def|class)[ \t]+\w+[ \t]*[(:]"
    r"|\blambda\b[^:\n]{0,80}:"
    r"|\breturn[ \t]+\w+(?:[\[(]|[ \t]*[+*/%][ \t]*\w)"
)

#: Shortest line of the program, or expression in one, that gives it away when the message holds it word for word;
#: shorter ones (`return x`) are found in plain sentences.
_TELLING_LINE = 16


class Induction:
    """Recover a program from examples."""

    name = "induction"
    least_references = 1
    program_is_given = True

    def propose_prompt(self, ask: Ask, style: Style) -> str:
        """Ask for inputs and a message for the program of the only reference."""
        program = ask.references[0].program
        if style == "compact":
            return filled("compact/induction.propose", program=program)
        return filled("full/induction.propose", program=common.shown_program(program), count=str(ask.inputs))

    def solve_prompt(self, task: Task, style: Style) -> str:
        """Show the first pairs and the message."""
        shown = list(zip(task.inputs, task.outputs, strict=True))[: task.shown]
        if style == "compact":
            pairs = "".join(filled("compact/pair", input=given, output=result) for given, result in shown)
            return filled("compact/induction.solve", pairs=pairs, message=" ".join(task.message.split()))
        pairs = "\n".join(
            filled("full/pair", number=str(number), input=fenced("input", given), output=fenced("output", result))
            for number, (given, result) in enumerate(shown, start=1)
        )
        return filled("full/induction.solve", pairs=pairs.strip(), message=task.message)

    def parse_proposal(self, text: str, ask: Ask, style: Style) -> Candidate | Refusal:
        """Exactly the inputs that were asked for, and a message."""
        if style == "compact":
            marks = parsing.marked(text)[1]
            inputs = [value for mark, value in marks if mark == "i"]
            messages = [value for mark, value in marks if mark == "m" and value]
        else:
            inputs, messages = parsing.labelled(text, "input"), parsing.labelled(text, "message")
        if not inputs:
            return refused("no_input")
        if len(inputs) != ask.inputs:
            return refused("input_count", f"{len(inputs)} inputs, asked for {ask.inputs}")
        if not messages:
            return refused("no_message")
        return Candidate(
            program=ask.references[0].program,
            inputs=tuple(parsing.arguments_of(given) for given in inputs),
            message=messages[-1],
        )

    def gate(self, candidate: Candidate, rules: GateRules) -> Plan[Task | Refusal]:
        """All inputs run, hidden ones differ from shown ones, outputs vary, and the message is no program."""
        if len(candidate.inputs) != rules.induction_inputs:
            return refused("input_count", f"{len(candidate.inputs)} inputs, not {rules.induction_inputs}")
        refusal = yield from refusal_of_message(candidate)
        if refusal is not None:
            return refusal
        examined = yield from gate.examine(candidate.program, candidate.inputs, rules)
        if isinstance(examined, Refusal):
            return examined
        shown = {value.key for value in examined.inputs[: rules.induction_shown]}
        for hidden in examined.inputs[rules.induction_shown :]:
            if hidden.key in shown:
                return refused("hidden_input_shown", hidden.literal)
        outcomes = yield from gate.run_probes(candidate.program, examined.inputs, rules)
        values = outcomes if isinstance(outcomes, Refusal) else gate.values_of(outcomes)
        if isinstance(values, Refusal):
            return values
        if len({value.key for value in values}) < 2:
            return refused("constant_output", values[0].literal)
        read = yield from gate.round_trip(values, rules.limits)
        if isinstance(read, Refusal):
            return read
        return gate.task_of_values(self, candidate, examined, read, rules, shown=rules.induction_shown)

    def apart_by(self, task: Task) -> Sequence[str]:
        """The set of inputs, whatever the message and however often each stands among them, or a proposer would earn
        again and again by rewording and repeating."""
        return sorted(set(task.inputs))

    def parse_answer(self, text: str, style: Style) -> str | Refusal:
        """A program."""
        return common.read_program(text, style)

    def verify(self, task: Task, answer: str, rules: VerifyRules) -> Plan[Verdict]:
        """The program, run on all inputs, shown and hidden, gives all the outputs."""
        if (refusal := refusal_of_text(answer)) is not None:
            return verification.malformed(refusal.reason, refusal.detail)
        expected = yield from verification.expected_forms(task, rules)
        if isinstance(expected, Verdict):
            return expected
        inspection = yield from plan.inspect(InspectJob(program=answer))
        if inspection.facts is None:
            if inspection.reason in STUMBLES:
                return verification.fell_short(inspection.reason, inspection.detail)
            return verification.malformed(inspection.reason, inspection.detail)
        return (yield from verification.gives_expected(answer, task.inputs, expected, rules))

    def example(self) -> Task:
        """Ten calls of one program, half of them shown."""
        return Task(
            id="induction-example",
            task_type=self.name,
            program=EXAMPLE_PROGRAM,
            inputs=tuple(_EXAMPLE_PAIRS),
            outputs=tuple(_EXAMPLE_PAIRS.values()),
            message="A running total grows or is scaled, depending on each number; each value it takes is kept once.",
            shown=5,
        )


_EXAMPLE_PAIRS = {
    "[3, 1, 4, 1, 5], 2": "[4, 8, 9, 14]",
    "[], 3": "[]",
    "[2, 4, 6], 2": "[0]",
    "[1, 1, 1], 2": "[1, 2, 3]",
    "[7, 7], 7": "[0]",
    "[5, 10, 20], 5": "[0]",
    "[9, 8, 7, 6], 4": "[9, 36, 43, 49]",
    "[-1, -2, -3], 2": "[-1, -2, -5]",
    "[100], 3": "[100]",
    "[3, 3, 3], 2": "[]",
}


def refusal_of_message(candidate: Candidate) -> Plan[Refusal | None]:
    """A message must say something, and must not give the program away: neither code, nor telling lines of it."""
    message = candidate.message
    if not message.strip():
        return refused("no_message")
    if (refusal := refusal_of_text(message)) is not None:
        return refusal
    if "```" in message or any(_CODE_LINE.search(line) for line in message.splitlines()):
        return refused("message_holds_program", message)
    squeezed = "".join(message.split())
    for line in candidate.program.splitlines():
        for part in told_by(line):
            bare = "".join(part.split())
            if len(bare) >= _TELLING_LINE and bare in squeezed:
                return refused("message_holds_program", line.strip())
    inspection = yield from plan.inspect(InspectJob(program=message))
    if inspection.facts is not None:
        return refused("message_holds_program", message)
    # What does not parse is plain words, as it should be; what the machine could not tell is told as such.
    undecided = inspection.reason in STUMBLES
    return gate.refusal_of_inspection(inspection) if undecided else None
