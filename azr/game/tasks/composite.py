"""Composite functions, an option: deduction over a program that must build on programs of known tasks.

    propose: components g_0, g_1, … ─► program whose f calls them all + input ─gate─► Task(components + program, …)
    solve:   as deduction, over the whole

A component is a known program whose entry is renamed in its text. The text is the program from then on: it is gated,
run and shown as it stands, so the renaming need not understand Python, only be careful (`component`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

import msgspec

from azr.game import gate
from azr.game.gate import GateRules
from azr.game.plan import Plan
from azr.game.reasons import refused
from azr.game.tasks import common
from azr.game.tasks.base import Ask, Style
from azr.game.tasks.deduction import Deduction
from azr.game.templates import filled
from azr.game.types import Candidate, Refusal, Task
from sandbox_wasm.protocol import Facts

#: The word f, save as the prefix of a string.
_ENTRY_WORD = re.compile(r"""(?<!\w)f(?![\w"'])""")
_ENTRY_DEFINITION = re.compile(r"^def[ \t]+f(?=[ \t]*\()", re.MULTILINE)
_COMPONENT_WORD = re.compile(r"(?<!\w)(g_\d+)(?!\w)")
_BLANKS = re.compile(r"[\s\\]+")


def component(program: str, number: int) -> str | None:
    """The program with its entry named `g_<number>`; None where the word `f` stands anywhere else."""
    if len(_ENTRY_WORD.findall(program)) != 1 or _COMPONENT_WORD.search(program):
        return None
    renamed, count = _ENTRY_DEFINITION.subn(f"def g_{number}", program)
    return renamed if count == 1 else None


def components_of(tasks: Iterable[Task], count: int) -> tuple[str, ...]:
    """The first `count` tasks' programs that can be components, as g_0, g_1, …; fewer when there are not so many."""
    found: list[str] = []
    for task in tasks:
        if len(found) == count:
            break
        if (renamed := component(task.program, len(found))) is not None:
            found.append(renamed)
    return tuple(found)


def assembled(components: Iterable[str], program: str) -> str:
    """The whole that runs and is shown: the components, and then the program that builds on them."""
    return "\n\n\n".join((*components, program))


class Composite(Deduction):
    """Predict what a program returns that builds on given ones."""

    name = "composite"
    least_references = 1

    def propose_prompt(self, ask: Ask, style: Style) -> str:
        """Ask for a program that calls every given function."""
        references = common.references(ask.references, style)
        components = "\n\n".join(ask.components)
        if style == "compact":
            return filled("compact/composite.propose", references=references, components=components)
        names = ", ".join(f"`{name}`" for name in _names(ask.components))
        return filled("full/composite.propose", references=references, components=components, names=names)

    def parse_proposal(self, text: str, ask: Ask, style: Style) -> Candidate | Refusal:
        """A program and one input; the given functions are put before it."""
        candidate = common.read_program_and_input(text, style)
        if isinstance(candidate, Refusal):
            return candidate
        return msgspec.structs.replace(
            candidate, program=assembled(ask.components, candidate.program), components=ask.components
        )

    def gate(self, candidate: Candidate, rules: GateRules) -> Plan[Task | Refusal]:
        """As deduction; besides, there is a component, f calls each with something of its own, and nothing replaces
        one."""
        if not candidate.components:
            return refused("no_component")
        own = candidate.program.removeprefix(assembled(candidate.components, ""))
        if (misuse := _misuse(own)) is not None:
            return refused("component_misused", misuse)

        def refusal_of_facts(facts: Facts) -> Refusal | None:
            for name in _names(candidate.components):
                if (*facts.functions, *facts.classes).count(name) != 1:
                    return refused("component_redefined", name)
                if name not in facts.calls:
                    return refused("component_unused", name)
            return None

        return (yield from gate.single_run(self, candidate, rules, refusal_of_facts))

    def example(self) -> Task:
        """One component, called on its own result."""
        return Task(
            id="composite-example",
            task_type=self.name,
            program=assembled([_EXAMPLE_COMPONENT], _EXAMPLE_PROGRAM),
            inputs=("'abcd', 3",),
            outputs=("'adbdcdd'",),
            components=(_EXAMPLE_COMPONENT,),
        )


def _names(components: tuple[str, ...]) -> list[str]:
    return [f"g_{number}" for number in range(len(components))]


def _misuse(program: str) -> str | None:
    """The first place where a given function's name is anything but the head of a call."""
    # As Python reads it: names in their normal form, and any blank or joined line a blank like any other.
    text = _BLANKS.sub(" ", unicodedata.normalize("NFKC", program))
    for match in _COMPONENT_WORD.finditer(text):
        start, end = match.span()
        if not text.startswith("(", end) or text.endswith(("def ", "class "), 0, start):
            return text[max(0, start - 20) : end + 20]
    return None


_EXAMPLE_COMPONENT = """\
def g_0(text):
    return text[1:] + text[:1]"""

_EXAMPLE_PROGRAM = """\
def f(text, times):
    for _ in range(times):
        text = g_0(text) + text[-1]
    return g_0(text)"""
