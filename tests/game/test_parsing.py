"""Parsing: tolerant of layout, strict of meaning, linear in time."""

from __future__ import annotations

import time
from typing import get_args

import pytest

from azr.game import frames, parsing, tasks
from azr.game.parsing import Block
from azr.game.tasks import Ask, Style

PROGRAM = "def f(a):\n    return a"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```python\nx\n```", [("python", "x")]),
        ("```\nx\n```", [("", "x")]),
        ("``` Python \nx\n```", [("python", "x")]),
        ("```{python}\nx\n```", [("python", "x")]),
        ("```input: \nx\n```", [("input", "x")]),
        ("```python\r\nx\r\ny\r\n```\r\n", [("python", "x\ny")]),
        ("~~~\nx\n~~~", []),
        ("````\n```\nx\n```\n````", [("", "```\nx\n```")]),
        ("  1. so:\n  ```python\n  def f(a):\n      return a\n  ```", [("python", PROGRAM)]),
        ("Here: ```python\nx\n```", [("python", "x")]),
        ("```input\n'abc'```", [("input", "'abc'")]),
        ("```input 'abc'```", [("input", "'abc'")]),
        ("say ```x``` inline", [("", "x")]),
        ("```python\nx", [("python", "x")]),
        ("```python\nx\n```input\n1\n```", [("python", "x"), ("input", "1")]),
        ("```python\nx\n\n\ny\n```", [("python", "x\n\n\ny")]),
        ("```python\n```", [("python", "")]),
        ("```\n```\n```\nx\n```", [("", ""), ("", "x")]),
        ("```", [("", "")]),
        ("``", []),
        ("", []),
    ],
)
def test_blocks(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(block.label, block.body) for block in parsing.blocks(text)] == expected


def test_a_block_says_where_its_lines_begin_and_end() -> None:
    assert parsing.blocks("a\nb\n```x\ny\n```\nc") == [Block("x", "y", 4, 15)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"```python\n{PROGRAM}\n```", PROGRAM),
        (f"```py\n{PROGRAM}\n```", PROGRAM),
        (f"```\n{PROGRAM}\n```", PROGRAM),
        (f"```\nplan: do it\n```\n```python\n{PROGRAM}\n```", PROGRAM),
        (f"```python\ndef f(a): return 0\n```\nbetter:\n```python\n{PROGRAM}\n```", PROGRAM),
        (f"```python\n{PROGRAM}\n```\nfor example\n```python\nprint(f(1))\n```", PROGRAM),
        (f"```\n{PROGRAM}\n```\n```python\nprint(f(1))\n```", PROGRAM),
        (f"```input\n{PROGRAM}\n```", None),
        (PROGRAM, PROGRAM),
        (f"\n\n{PROGRAM}\n", PROGRAM),
        (f"Sure, here it is:\n{PROGRAM}", None),
        ("```python\nprint(1)\n```", "print(1)"),
        ("nothing", None),
        ("```python\n\n```", None),
        ("", None),
    ],
)
def test_the_program_is_the_last_block_that_defines_f(text: str, expected: str | None) -> None:
    assert parsing.program_in(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```input\n1\n```\n```input\n2\n```", ["1", "2"]),
        ("<input>1</input> and <input>\n2\n</input>", ["1", "2"]),
        ("<input>1</input> and <input>2", ["1"]),
        ("Input: 1", ["1"]),
        ("# Input: 1\n# Input: 2", ["1", "2"]),
        ("**Input 1:** `'a', 2`\n**Input 2:** 'b'", ["'a', 2", "'b'"]),
        ("Input:\n\n'a',\n'b'\n\nthe end", ["'a',\n'b'"]),
        ("### Input 1:\n1\n### Input 2:\n2", ["1", "2"]),
        ("__Input__ 12 **: 1", ["1"]),
        ("Input 1 2: 3", []),
        ("Input:\n```\n1\n```", ["1"]),
        ("Input:\n```python\n1\n```", ["1"]),
        ("input:", []),
        ("```python\n# Input: a list\ndef f(a): return a\n```", []),
        ("```python\n# Input: a list\n```\nInput: 1", ["1"]),
        ("The input is 3", []),
        ("inputs: 3", []),
        ("```input\n\n```", []),
        ("", []),
    ],
)
def test_what_stands_under_a_label(text: str, expected: list[str]) -> None:
    assert parsing.labelled(text, "input") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```output\n1\n```", "1"),
        ("```output\n1\n```\nno, rather\n```output\n2\n```", "2"),
        ("```python\n2\n```", "2"),
        ("so the result is\n```\n[1,\n 2]\n```", "[1,\n 2]"),
        ("Output: 3", "3"),
        ("<output>4</output>", "4"),
        ("5", "5"),
        ("`6`", "6"),
        (" \n", ""),
        ("```output\n```", ""),
    ],
)
def test_an_answer_that_is_data(text: str, expected: str) -> None:
    assert parsing.datum_in(text, "output") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("f(1, 2)", "1, 2"),
        (" f( 1 ) ", "1"),
        ("1, 2", "1, 2"),
        ("g(1)", "g(1)"),
        ("f(1) or (True)", "1) or (True"),
        ("f(1", "f(1"),
        ("f", "f"),
        ("", ""),
    ],
)
def test_a_call_around_arguments_is_taken_off_by_its_ends_alone(text: str, expected: str) -> None:
    assert parsing.arguments_of(text) == expected


@pytest.mark.parametrize(
    ("text", "head", "marks"),
    [
        (f"{PROGRAM}\n#i 1", PROGRAM, [("i", "1")]),
        ("#i 1\n#i 2\n#m some\nwords", "", [("i", "1"), ("i", "2"), ("m", "some\nwords")]),
        ("x = 1 #i 2\n# a comment\n#1\n#include", "x = 1 #i 2\n# a comment\n#1\n#include", []),
        ("#o\n3", "", [("o", "3")]),
        ("#a note\nx = 1\n#i 1", "#a note\nx = 1", [("i", "1")]),
        ("", "", []),
    ],
)
def test_the_marks_of_the_compact_style(text: str, head: str, marks: list[tuple[str, str]]) -> None:
    assert parsing.marked(text) == (head, marks)


EVIL = {
    "fences": "```\n" * 250_000,
    "labelled fences": "```python\n" * 100_000,
    "backticks": "`" * 1_000_000,
    "inline": "```x```" * 150_000,
    "inline lines": "```x``` ```\n" * 80_000,
    "open tags": "<input>" * 150_000,
    "tags": "<input></input>" * 70_000,
    "headings": "Input:\n" * 150_000,
    "headings with blanks": "Input:\n\n\n\n" * 100_000,
    "heading signs": "#" * 1_000_000 + "Input:",
    "definitions": "def f" * 200_000,
    "indents": " " * 1_000_000 + "def f(",
    "async": "async " * 160_000,
    "marks": "#i\n" * 300_000,
    "answers": "<answer>" * 125_000,
    "thoughts": "</think><answer>" * 60_000,
    "one line": "a" * 1_000_000,
    "line ends": "\n" * 1_000_000,
    "carriage returns": "\r\r\n" * 330_000,
    "control": "\x85\u2028\x0b\x1c" * 250_000,
    "digits": "input" + "9" * 1_000_000,
    "a label and blanks": "input" + " " * 1_000_000,
    "a label and emphasis": "input" + "*" * 1_000_000,
    "a label and lines": "input" + "_" * 1_000_000,
    "a label, a number and blanks": "input 9" + " " * 1_000_000,
    "lambdas": "lambda " * 140_000,
    "lines of thought": "#t 1\n" * 200_000,
    "returns": "return x" * 120_000,
}


def walk_through_all_parsers(text: str) -> float:
    """Seconds of CPU that every parser and frame together take."""
    references = (tasks.task_type("induction").example(),)
    started = time.process_time()
    for extract in (frames.tagged_answer, frames.after_thought, frames.after_lines_of_thought):
        extract(text)
    for kind in map(tasks.task_type, ("deduction", "induction")):
        for style in get_args(Style):
            kind.parse_proposal(text, Ask(references=references), style)
            kind.parse_answer(text, style)
    return time.process_time() - started


@pytest.mark.parametrize("name", EVIL)
def test_hostile_text_takes_a_moment(name: str) -> None:
    # A dozen walks over 100 kB; anything quadratic takes many times as long.
    assert walk_through_all_parsers(EVIL[name][:100_000]) < 3.0


@pytest.mark.soak
@pytest.mark.parametrize("name", EVIL)
def test_a_hostile_megabyte_takes_ten_times_as_long_as_a_tenth_of_it(name: str) -> None:
    whole, tenth = (walk_through_all_parsers(EVIL[name][:size]) for size in (1_000_000, 100_000))
    assert whole < 30 * tenth + 1.0
