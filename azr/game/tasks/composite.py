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
_DEFINES = re.compile(r"(?:^|\W)(?:def|class)[\s\\]+$")


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


class Composite(Deduction):
    """Predict what a program returns that builds on given ones."""

    name = "composite"

    def propose_prompt(self, ask: Ask, style: Style) -> str:
        """Ask for a program that calls every given function."""
        references = common.references(ask.references, style)
        components = "\n\n".join(ask.components)
        if style == "compact":
            return filled("compact/composite.propose", references=references, components=components)
        names = ", ".join(f"`{name}`" for name in _names(ask.components))
        return filled("full/composite.propose", references=references, components=components, names=names)

    def parse_proposal(self, text: str, ask: Ask, style: Style) -> Candidate | Refusal:
        """A program and one input; the given functions are only ever called."""
        candidate = common.read_program_and_input(text, style)
        if isinstance(candidate, Refusal):
            return candidate
        if (misuse := _misuse(candidate.program)) is not None:
            return refused("component_misused", misuse)
        whole = "\n\n\n".join((*ask.components, candidate.program))
        return msgspec.structs.replace(candidate, program=whole, components=ask.components)

    def gate(self, candidate: Candidate, rules: GateRules) -> Plan[Task | Refusal]:
        """As deduction; besides, f calls every component with something of its own, and none is defined twice."""

        def refusal_of_facts(facts: Facts) -> Refusal | None:
            for name in _names(candidate.components):
                if (*facts.functions, *facts.classes).count(name) != 1:
                    return refused("component_redefined", name)
                if name not in facts.calls:
                    return refused("component_unused", name)
            return None

        return (yield from gate.single_run(self.name, candidate, rules, refusal_of_facts))

    def example(self) -> Task:
        """One component, called on its own result."""
        return Task(
            id="composite-example",
            task_type=self.name,
            program=f"{_EXAMPLE_COMPONENT}\n\n\n{_EXAMPLE_PROGRAM}",
            inputs=("'abcd', 3",),
            outputs=("'adbdcdd'",),
            components=(_EXAMPLE_COMPONENT,),
        )


def _names(components: tuple[str, ...]) -> list[str]:
    return [f"g_{number}" for number in range(len(components))]


def _misuse(program: str) -> str | None:
    """The first place where a given function's name is anything but the head of a call."""
    text = unicodedata.normalize("NFKC", program)  # as Python reads names
    for match in _COMPONENT_WORD.finditer(text):
        before, after = text[max(0, match.start() - 40) : match.start()], text[match.end() : match.end() + 1]
        if after != "(" or _DEFINES.search(before):
            return text[max(0, match.start() - 20) : match.end() + 20]
    return None


_EXAMPLE_COMPONENT = """\
def g_0(text):
    return text[1:] + text[:1]"""

_EXAMPLE_PROGRAM = """\
def f(text, times):
    for _ in range(times):
        text = g_0(text) + text[-1]
    return g_0(text)"""
