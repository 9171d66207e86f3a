"""Composite functions, an option: deduction over a program that must build on programs of known tasks.

    propose: components g_0, g_1, … ─► program whose f calls them all + input ─gate─► Task(components + program, …)
    solve:   as deduction, over the whole

A component is a known program whose entry is renamed in its text. The text is the program from then on: it is gated,
run and shown as it stands, so the renaming need not understand Python, only be careful (`component`).

That f calls a component is seen twice: in the syntax, which says that something of f's own is passed, and by running
the whole once more with that component made to raise, which shows that a call is made and that its end matters. A call
whose result is thrown away meets both; such a program is odd, and still one to be followed.
"""

from __future__ import annotations

import io
import itertools
import re
import tokenize
import unicodedata
from collections.abc import Iterable, Iterator

import msgspec

from azr.game import gate, plan
from azr.game.gate import GateRules, refusal_of_text
from azr.game.plan import Plan
from azr.game.reasons import STUMBLES, refused
from azr.game.tasks import common
from azr.game.tasks.base import Ask, Style
from azr.game.tasks.deduction import Deduction
from azr.game.tasks.lines import clash, module_names
from azr.game.templates import filled
from azr.game.types import Candidate, Refusal, Task
from sandbox_wasm.protocol import Facts, RunJob

#: The word f, save as the prefix of a string.
_ENTRY_WORD = re.compile(r"""(?<!\w)f(?![\w"'])""")
_ENTRY_DEFINITION = re.compile(r"^def[ \t]+f(?=[ \t]*\()", re.MULTILINE)
_COMPONENT_WORD = re.compile(r"(?<!\w)(g_\d+)(?!\w)")
_BLANKS = re.compile(r"[\s\\]+")

#: Put after a program, it takes the place of a component for calls that are made while f runs.
_REPLACED = """


def {name}(*_, **__):
    class Replaced(Exception):
        pass
    raise Replaced"""


def component(program: str, number: int) -> str | None:
    """The program with its entry named `g_<number>`; None where the word `f` stands anywhere else.

    Nor is one taken that imports from `__future__`: nothing may stand before such a line.
    """
    if len(_ENTRY_WORD.findall(program)) != 1 or _COMPONENT_WORD.search(program) or "__future__" in program:
        return None
    renamed, count = _ENTRY_DEFINITION.subn(f"def g_{number}", program)
    return renamed if count == 1 else None


def components_of(tasks: Iterable[Task], count: int) -> tuple[str, ...]:
    """The first `count` tasks' programs that can be components, as g_0, g_1, …; fewer when there are not so many.

    One whose helpers would take the place of another's is passed over.
    """
    found: list[str] = []
    for task in tasks:
        if len(found) == count:
            break
        renamed = component(task.program, len(found))
        if renamed is not None and _clash((*found, renamed)) is None:
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
        shown = common.shown_program(components)
        return filled("full/composite.propose", references=references, components=shown, names=names)

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
        one or what it is made of."""
        if not candidate.components:
            return refused("no_component")
        if (refusal := refusal_of_text(candidate.program)) is not None:
            return refusal
        own = candidate.program.removeprefix(assembled(candidate.components, ""))
        if (misuse := _misuse(own)) is not None:
            return refused("component_misused", misuse)
        if (name := _clash((*candidate.components, own))) is not None:
            return refused("component_redefined", name)

        def refusal_of_facts(facts: Facts) -> Refusal | None:
            for name in _names(candidate.components):
                if (*facts.functions, *facts.classes).count(name) != 1:
                    return refused("component_redefined", name)
                if name not in facts.calls:
                    return refused("component_unused", name)
            return None

        task = yield from gate.single_run(self, candidate, rules, refusal_of_facts)
        if isinstance(task, Refusal):
            return task
        return (yield from _refusal_of_idle(task, rules)) or task

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


def _clash(parts: tuple[str, ...]) -> str | None:
    """The first name that one part binds and that means something else in another: they share one module."""
    names = [module_names(part) for part in parts]
    for first, second in itertools.permutations(range(len(parts)), 2):
        if (name := clash(names[first], names[second], parts[second])) is not None:
            return name
    return None


def _refusal_of_idle(task: Task, rules: GateRules) -> Plan[Refusal | None]:
    """A component that can raise instead of working, and nothing changes, is one that f does not call."""
    probe = rules.probes[0]
    names = _names(task.components)
    results = yield from plan.run(
        *(
            RunJob(
                program=task.program + _REPLACED.format(name=name),
                inputs=task.inputs,
                limits=rules.limits,
                snapshot=probe.snapshot,
                random_seed=probe.random_seed,
                clock=probe.clock,
            )
            for name in names
        )
    )
    for name, result in zip(names, results, strict=True):
        (outcome,) = result.outcomes
        if outcome.status in STUMBLES:
            return refused("retry" if outcome.status == "retry" else "crashed", outcome.error)
        if outcome.value is not None and outcome.value.literal == task.outputs[0]:
            return refused("component_unused", name)
    return None


def _misuse(program: str) -> str | None:
    """The first place where a given function's name is anything but the head of a call."""
    words = _words(program)
    if words is None:
        return _misuse_in_text(program)
    for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False):
        if _COMPONENT_WORD.fullmatch(word) and (after != "(" or before in ("def", "class")):
            return f"{before} {word} {after}".strip()
    return None


def _words(program: str) -> list[str] | None:
    """The program's tokens without comments and strings, or None where the guest might read them otherwise.

    That is so where a string holds code (f'…', t'…'), whose inside and whose end differ between versions of Python;
    where a name is not of plain letters; and where the tokenizer stumbles. Nothing is parsed or compiled.
    """
    words = []
    lines = io.StringIO(program.replace("\r\n", "\n").replace("\r", "\n"), newline="\n")
    try:
        for token, glued in _tokens(lines):
            if token.type in (tokenize.COMMENT, tokenize.NL):
                continue
            if token.type == tokenize.STRING:
                if glued or "f" in token.string[:3].lower().partition("'")[0].partition('"')[0]:
                    return None
                words.append("''")
                continue
            kind = tokenize.tok_name[token.type]
            if kind == "ERRORTOKEN" or "STRING" in kind or not token.string.isascii():
                return None
            words.append(token.string)
    except (tokenize.TokenError, SyntaxError, ValueError):
        return None
    return words


def _tokens(lines: io.StringIO) -> Iterator[tuple[tokenize.TokenInfo, bool]]:
    """Each token, and whether a name ends where it begins: before a string, a prefix that this Python does not know."""
    name_end = (0, 0)
    for token in tokenize.generate_tokens(lines.readline):
        yield token, token.start == name_end
        name_end = token.end if token.type == tokenize.NAME else (0, 0)


def _misuse_in_text(program: str) -> str | None:
    """The same where only the text can be looked at, comments and strings included."""
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
