"""A grammar of small typed programs over numbers, strings and lists.

Owns what the tiny model knows of Python. Draws are made from an explicit generator; nothing is run here. Called by
`azr.tiny.world`, which runs every program in the sandbox and keeps what works.

    type int ──add 3──► int ──text──► str ──rep 2──► str           def f(a):        worked out for f(4):
    one line for each step; the message tells some of them          a=a+3           4+3=7
    (`add ? rep 2`), or induction would be reading, not finding     a=str(a)        str(7)='7'
                                                                    return a*2      '7'*2='77'
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

Kind = Literal["int", "str", "list"]

Item = TypeVar("Item")

KINDS: tuple[Kind, ...] = ("int", "str", "list")
LETTERS = "abcd"


@dataclass(frozen=True)
class Operation:
    """One step: an expression of the variable `{a}`, with `{c}` for a drawn constant, and the words that tell it."""

    takes: Kind
    gives: Kind
    expression: str
    words: str
    constants: tuple[str, ...] = ()


#: Chance that a step's operation is named in the message, and that its constant is named then. With all named, a base
#: model writes three programs in four from the message alone and has nothing left to learn by playing.
TOLD = 0.4
CONSTANT_TOLD = 0.5

#: Stands in a message for an operation that is not named.
UNTOLD = "?"

_SMALL = ("1", "2", "3", "4", "5")
_FACTORS = ("2", "3", "4")
_QUOTED = tuple(f"'{letter}'" for letter in LETTERS)

OPERATIONS: tuple[Operation, ...] = (
    Operation("int", "int", "{a}+{c}", "add {c}", _SMALL),
    Operation("int", "int", "{a}-{c}", "sub {c}", _SMALL),
    Operation("int", "int", "{a}*{c}", "mul {c}", _FACTORS),
    Operation("int", "int", "{a}//{c}", "div {c}", _FACTORS),
    Operation("int", "int", "{a}%{c}", "mod {c}", ("2", "3", "4", "5")),
    Operation("int", "int", "max({a},{c})", "max {c}", _SMALL),
    Operation("int", "int", "min({a},{c})", "min {c}", _SMALL),
    Operation("int", "int", "abs({a}-{c})", "gap {c}", _SMALL),
    Operation("int", "str", "str({a})", "text"),
    Operation("int", "str", "'{c}'*{a}", "times {c}", tuple(LETTERS)),
    Operation("int", "list", "list(range({a}))", "range"),
    Operation("int", "list", "[{a}]*{c}", "fill {c}", ("2", "3")),
    Operation("str", "str", "{a}[::-1]", "rev"),
    Operation("str", "str", "{a}+{c}", "end {c}", _QUOTED),
    Operation("str", "str", "{c}+{a}", "start {c}", _QUOTED),
    Operation("str", "str", "{a}*{c}", "rep {c}", ("2", "3")),
    Operation("str", "str", "{a}.upper()", "upper"),
    Operation("str", "str", "{a}[1:]", "tail"),
    Operation("str", "str", "{a}[:-1]", "init"),
    Operation("str", "str", "{a}[:{c}]", "take {c}", ("1", "2")),
    Operation("str", "str", "{a}.replace('a',{c})", "swap {c}", ("'b'", "'c'", "'d'", "''")),
    Operation("str", "str", "''.join(sorted({a}))", "sort"),
    Operation("str", "int", "len({a})", "len"),
    Operation("str", "int", "{a}.count({c})", "count {c}", _QUOTED),
    Operation("str", "int", "{a}.find({c})", "find {c}", _QUOTED),
    Operation("str", "list", "[ord(c)-97 for c in {a}.lower()]", "codes"),
    Operation("list", "list", "{a}[::-1]", "rev"),
    Operation("list", "list", "sorted({a})", "sort"),
    Operation("list", "list", "{a}+[{c}]", "end {c}", _SMALL),
    Operation("list", "list", "[{c}]+{a}", "start {c}", _SMALL),
    Operation("list", "list", "[x+{c} for x in {a}]", "each add {c}", _SMALL),
    Operation("list", "list", "[x*{c} for x in {a}]", "each mul {c}", _FACTORS),
    Operation("list", "list", "[x for x in {a} if x>{c}]", "over {c}", _SMALL),
    Operation("list", "list", "[x for x in {a} if x%2=={c}]", "parity {c}", ("0", "1")),
    Operation("list", "list", "{a}[1:]", "tail"),
    Operation("list", "list", "{a}[:{c}]", "take {c}", ("1", "2")),
    Operation("list", "int", "len({a})", "len"),
    Operation("list", "int", "sum({a})", "sum"),
    Operation("list", "int", "max({a}+[{c}])", "max {c}", ("0", "3", "5")),
    Operation("list", "int", "{a}.count({c})", "count {c}", _SMALL),
    Operation("list", "str", "''.join(str(x) for x in {a})", "join"),
)

_BY_INPUT: dict[Kind, tuple[Operation, ...]] = {
    kind: tuple(operation for operation in OPERATIONS if operation.takes == kind) for kind in KINDS
}

#: Comparisons that open a branch, by the kind of `a`.
_CONDITIONS: dict[Kind, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "int": (("{a}>{c}", ("2", "4", "6", "8")), ("{a}%2=={c}", ("0", "1"))),
    "str": (("{c} in {a}", _QUOTED), ("len({a})>{c}", ("1", "2"))),
    "list": (("len({a})>{c}", ("1", "2")), ("{c} in {a}", _SMALL)),
}


@dataclass(frozen=True)
class Program:
    """A program of the world, the kind of its argument, and the message: words that tell part of what it does."""

    text: str
    takes: Kind
    words: str
    steps: int
    branches: bool
    """Whether the last step is one of two."""
    working: str
    """A program as well: of the same argument it returns how the first one comes to its output, step by step. A step is
    two texts, its expression with the value of the variable in it and what that gives."""


@dataclass(frozen=True)
class Difficulty:
    """How wide the world is."""

    steps: tuple[float, ...] = (0.4, 0.4, 0.2)
    """Chances of 1, 2, 3 … steps."""
    branch: float = 0.1
    """Chance that the last step is one of two, by a condition."""
    number: int = 12
    """Largest integer argument."""
    length: int = 4
    """Longest string or list argument."""
    digit: int = 9
    """Largest element of a list argument."""


#: What the tiny model is pretrained on, and what self-play starts from.
COMMON = Difficulty()

#: Clearly beyond it: room to grow. Held-out tasks of this kind are never trained on.
HARDER = Difficulty(steps=(0.0, 0.1, 0.5, 0.4), branch=0.3, number=30, length=6)


def draw_program(generator: np.random.Generator, difficulty: Difficulty = COMMON) -> Program:
    """A random program. It may fail on some arguments: the sandbox tells."""
    takes = KINDS[int(generator.integers(len(KINDS)))]
    steps = 1 + int(generator.choice(len(difficulty.steps), p=np.array(difficulty.steps)))
    kind, lines, words, working = takes, [], [], []
    for step in range(steps):
        last = step == steps - 1
        operation = _choose(generator, _BY_INPUT[kind])
        expression, told = _concrete(generator, operation)
        if last and generator.random() < difficulty.branch:
            condition, constants = _choose(generator, _CONDITIONS[kind])
            test = condition.replace("{c}", _choose(generator, constants))
            other, other_told = _concrete(generator, _choose(generator, _BY_INPUT[kind]))
            lines += [f" if {_of_variable(test)}:", f"  return {_of_variable(other)}"]
            words.append(f"if {other_told} else")
            working += [_noted(test), f" if {_of_variable(test)}:", f" {_noted(other)}", "  return w"]
        lines.append(f" return {_of_variable(expression)}" if last else f" a={_of_variable(expression)}")
        words.append(told)
        working += [_noted(expression), f" a={_of_variable(expression)}"]
        kind = operation.gives
    return Program(
        text="\n".join(["def f(a):", *lines]),
        takes=takes,
        words=" ".join(words),
        steps=steps,
        branches=len(lines) > steps,
        working="\n".join(["def f(a):", " w=[]", *working, " return w"]),
    )


def draw_argument(generator: np.random.Generator, kind: Kind, difficulty: Difficulty = COMMON) -> str:
    """A random argument of that kind, as text."""
    if kind == "int":
        return str(int(generator.integers(0, difficulty.number + 1)))
    length = int(generator.integers(0, difficulty.length + 1))
    if kind == "str":
        return repr("".join(LETTERS[int(index)] for index in generator.integers(0, len(LETTERS), length)))
    return repr([int(digit) for digit in generator.integers(0, difficulty.digit + 1, length)])


def _concrete(generator: np.random.Generator, operation: Operation) -> tuple[str, str]:
    """The operation's expression with its constant drawn, and what the message tells of it."""
    constant = _choose(generator, operation.constants) if operation.constants else ""
    told, constant_told = generator.random() < TOLD, generator.random() < CONSTANT_TOLD
    words = operation.words.replace("{c}", constant if constant_told else "").strip() if told else UNTOLD
    return operation.expression.replace("{c}", constant), words


def _of_variable(expression: str) -> str:
    """The expression as it stands in a program."""
    return expression.replace("{a}", "a")


def _noted(expression: str) -> str:
    """A line of a program that notes the expression with the variable's value in it, and what it gives."""
    return f" w+=[(repr(a).join({expression.split('{a}')!r}),repr({_of_variable(expression)}))]"


def _choose(generator: np.random.Generator, items: tuple[Item, ...]) -> Item:
    return items[int(generator.integers(len(items)))]
