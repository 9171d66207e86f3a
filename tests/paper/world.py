"""The material of one small published step: known tasks, and four hand-written model answers for each of six cells.

Responses are whole ones in the think/answer frame and go through the real parser, gate and verifier; only their lengths
in tokens are data, as no tokenizer has a say in the algorithm.
"""

from __future__ import annotations

from typing import NamedTuple

from azr.game.types import Candidate


def response(answer: str) -> str:
    return f"some thoughts </think> <answer>\n{answer}\n</answer>"


def block(label: str, text: str) -> str:
    return f"```{label}\n{text}\n```"


def program_and_input(program: str, arguments: str) -> str:
    return response(block("python", program) + "\n" + block("input", arguments))


def inputs_and_message(inputs: list[str], message: str) -> str:
    return response("\n".join(block("input", text) for text in inputs) + "\n" + block("message", message))


class Known(NamedTuple):
    """A task of an earlier step, with one answer that is right and one that is not."""

    candidate: Candidate
    right: str
    wrong: str


DOUBLE = "def f(x):\n    return x + x"
SQUARE = "def f(x):\n    return x * x"
TEN = [str(number) for number in range(10)]

#: Two tasks of the step before, then three older ones, of each type.
KNOWN: dict[str, list[Known]] = {
    "deduction": [
        Known(Candidate(program=f"def f(x):\n    return x * {factor} + 1", inputs=("3",)), str(3 * factor + 1), "0")
        for factor in (2, 3, 4, 5, 6)
    ],
    "abduction": [
        Known(Candidate(program=f"def f(x):\n    return x - {less}", inputs=("9",)), "9", "0")
        for less in (1, 2, 3, 4, 5)
    ],
    "induction": [
        Known(
            Candidate(program=f"def f(x):\n    return x * {factor}", inputs=tuple(TEN), message="Think of growth."),
            f"def f(number):\n    return number * {factor}",
            "def f(number):\n    return number",
        )
        for factor in (2, 3, 4, 5, 6)
    ],
}


class Said(NamedTuple):
    """A response, its length in tokens, and (of a valid proposal) how many of its eight estimates are right."""

    text: str
    tokens: int
    solved: int | None = None


#: What the proposers say in this step. `None` solved: the gate or the parser refuses it.
PROPOSED: dict[str, list[Said]] = {
    "deduction": [
        Said(program_and_input("def f(text):\n    return text[::-1]", "'abc'"), 4, 2),
        Said(program_and_input("def f(a, b):\n    return a + b", "1, 2"), 2, 8),
        Said(program_and_input("def f(x) return x", "1"), 1),
        Said("no tags at all", 1),
    ],
    "abduction": [
        Said(program_and_input(DOUBLE, "[1, 2]"), 4, 1),
        Said(program_and_input(SQUARE, "7"), 1, 4),
        Said(program_and_input("def f(items):\n    return sorted(items)", "[3, 1, 2]"), 2, 0),
        Said(program_and_input("import random\ndef f(x):\n    return random.random()", "1"), 3),
    ],
    "induction": [
        Said(inputs_and_message([str(number) for number in range(10, 20)], "It grows with its argument."), 4, 7),
        Said(inputs_and_message([str(-number) for number in range(10)], "Below nought as well."), 2, 2),
        Said(inputs_and_message(TEN[:9], "One input is missing."), 1),
        Said(inputs_and_message(["5"] * 10, "Always the same."), 1),
    ],
}

#: How the solvers do on the four tasks they get: right, wrong, unreadable (between right tags), malformed or cut off,
#: and the tokens of each response.
SOLVED: dict[str, list[tuple[str, int]]] = {
    "deduction": [("right", 1), ("right", 3), ("unreadable", 2), ("malformed", 3)],
    "abduction": [("right", 2), ("wrong", 1), ("unreadable", 1), ("truncated", 1)],
    "induction": [("right", 1), ("right", 1), ("right", 2), ("unreadable", 4)],
}

#: Answers that nobody can read, between right tags: no literal, no arguments, a program that does not parse.
UNREADABLE = {"deduction": "about seven", "abduction": "any number", "induction": "def f(number) return number"}

LABELS = {"deduction": "output", "abduction": "input", "induction": "python"}
