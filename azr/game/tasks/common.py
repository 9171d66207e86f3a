"""What the task types share in reading and showing: a program with one input, blocks of either style, references.

Called by the task types alone; holds no rule that tells one type from another.
"""

from __future__ import annotations

from collections.abc import Sequence

from azr.game import parsing
from azr.game.reasons import refused
from azr.game.tasks.base import Style
from azr.game.templates import fenced, filled
from azr.game.types import Candidate, Refusal, Task


def shown_program(program: str) -> str:
    """A program as solvers and proposers see it in the full style."""
    return fenced("python", program)


def references(tasks: Sequence[Task], style: Style) -> str:
    """Known tasks, shown to a proposer so that it does something else; nothing when there are none."""
    if style == "compact":
        return "".join(filled("compact/reference", program=task.program, input=task.inputs[0]) for task in tasks)
    if not tasks:
        return ""
    shown = [
        filled(
            "full/reference",
            number=str(number),
            program=shown_program(task.program),
            input=fenced("input", task.inputs[0]),
            output=fenced("output", task.outputs[0]),
        )
        for number, task in enumerate(tasks, start=1)
    ]
    return filled("full/references", references="".join(shown))


def read_program_and_input(text: str, style: Style) -> Candidate | Refusal:
    """A proposal of one program and one input; of several inputs the last counts."""
    if style == "compact":
        program, marks = parsing.marked(text)
        inputs = [value for mark, value in marks if mark == "i"]
    else:
        program = parsing.program_in(text) or ""
        inputs = parsing.labelled(text, "input")
    if not program.strip():
        return refused("no_program")
    if not inputs or not inputs[-1]:
        return refused("no_input")
    return Candidate(program=program, inputs=(parsing.arguments_of(inputs[-1]),))


def read_datum(text: str, label: str, style: Style) -> str | Refusal:
    """An answer that is data: in the full style under its label, in the compact style all before the first marker."""
    answer = parsing.marked(text)[0].strip() if style == "compact" else parsing.datum_in(text, label)
    return answer or refused("empty_answer")


def written_datum(answer: str, label: str, style: Style) -> str:
    """The answer that `read_datum` reads, in the fence that the prompts show."""
    return answer if style == "compact" else f"```{label}\n{answer}\n```"


def read_program(text: str, style: Style) -> str | Refusal:
    """An answer that is a program."""
    program = parsing.marked(text)[0] if style == "compact" else parsing.program_in(text)
    return program if program and program.strip() else refused("no_program")
