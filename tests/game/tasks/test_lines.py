"""Lines looked at as text: what a line tells, and which names a program binds at its top level."""

from __future__ import annotations

import time

import pytest

from azr.game.tasks.lines import OWN, clash, masked, module_names, told_by


@pytest.mark.parametrize(
    ("line", "expressions"),
    [
        ("    return sorted(a)[::-1]", ["return sorted(a)[::-1]", "sorted(a)[::-1]"]),
        ("return(a)", ["return(a)", "(a)"]),
        ("returned(a)", ["returned(a)"]),
        ("yield a * 2", ["yield a * 2", "a * 2"]),
        ("yield from g(a)", ["yield from g(a)", "g(a)"]),
        ("raise ValueError(a)", ["raise ValueError(a)", "ValueError(a)"]),
        ("assert a > 1, 'no'", ["assert a > 1, 'no'", "a > 1, 'no'"]),
        ("a=a+3", ["a=a+3", "a+3"]),
        ("a = a + 3  # three", ["a = a + 3", "a + 3"]),
        ("a = b = c", ["a = b = c", "b = c", "c"]),
        ("a: int = c", ["a: int = c", "c"]),
        ("a[b == c] = d", ["a[b == c] = d", "d"]),
        ("a = '#' + b", ["a = '#' + b", "'#' + b"]),
        ("a = 'x=y'", ["a = 'x=y'", "'x=y'"]),
        ("a == b", ["a == b"]),
        ("a <= b != c >= d", ["a <= b != c >= d"]),
        ("if a > b:", ["if a > b", "a > b"]),
        ("elif a == b: return c", ["elif a == b: return c", "a == b", "return c", "c"]),
        ("while (a := b()): c += 1", ["while (a := b()): c += 1", "(a := b())", "c += 1", "1"]),
        ("else: return c", ["else: return c", "return c", "c"]),
        ("for a, b in c.items(): d(a)", ["for a, b in c.items(): d(a)", "c.items()", "d(a)"]),
        ("with open_it(a) as b: c(b)", ["with open_it(a) as b: c(b)", "open_it(a)", "c(b)"]),
        ("with a, b:", ["with a, b", "a, b"]),
        ("except ValueError as e: return a", ["except ValueError as e: return a", "return a", "a"]),
        ("match a % 3:", ["match a % 3", "a % 3"]),
        ("case 2: return b", ["case 2: return b", "2", "return b", "b"]),
        ("match = a", ["match = a", "a"]),
        ("def f(x) -> dict[str, int]: y", ["def f(x) -> dict[str, int]: y", "y"]),
        ("def f(x=a): return x[:3]", ["def f(x=a): return x[:3]", "return x[:3]", "x[:3]"]),
        ("async def f(x): await y", ["async def f(x): await y", "await y", "y"]),
        ("class A: b = c", ["class A: b = c", "b = c", "c"]),
        ("a = 1; b=c", ["a = 1", "1", "b=c", "c"]),
        ("# a = b", []),
        ("", []),
        ("'; a = b", ["'; a = b"]),
        ("a = \\", ["a ="]),
    ],
)
def test_a_line_tells_what_stands_after_its_first_words(line: str, expressions: list[str]) -> None:
    assert told_by(line) == expressions


@pytest.mark.parametrize("sign", ["=", *(f"{sign}=" for sign in (*"+-*/%@&|^", "**", "//", "<<", ">>"))])
@pytest.mark.parametrize("blank", ["", " "])
def test_every_sign_that_assigns_is_known_with_blanks_and_without(sign: str, blank: str) -> None:
    assert told_by(f"total{blank}{sign}{blank}weigh(a)")[-1] == "weigh(a)"


def test_a_mask_keeps_the_places_of_all_that_it_shows() -> None:
    assert masked("a = f(b, '(')[c] # d") == "a = f" + "\0" * 11 + " "
    assert masked("a = 'b\\'c' + d") == "a = " + "\0" * 6 + " + d"
    assert masked(") a") == "\0 a"


@pytest.mark.parametrize("text", ["\\'" * 32_000, "a=" * 32_000, "'\\" * 32_000, "(" * 64_000, "if " * 20_000])
def test_a_hostile_line_takes_little_time(text: str) -> None:
    started = time.process_time()
    told_by(text)
    module_names(text)
    assert time.process_time() - started < 2.0


@pytest.mark.parametrize(
    ("program", "names"),
    [
        ("def h(a):\n    b = 1\n    return b", {"h": OWN}),
        ("async def h(a): c = 1\nclass K(h): d = 2", {"h": OWN, "K": OWN}),
        ("a = b = c", {"a": OWN, "b": OWN}),
        ("(a, [b, *c]) = d", {"a": OWN, "b": OWN, "c": OWN}),
        ("a: int = 3; b += d", {"a": OWN, "b": OWN}),
        ("del a", {"a": OWN}),
        ("print(a := 3)", {"a": OWN}),
        ("import math\nimport os.path as p, re", {"math": "math", "p": "os.path", "re": "re"}),
        ("import a.b", {"a": "a"}),
        ("from math import pi, e as base", {"pi": "math:pi", "base": "math:e"}),
        ("from math import (\n    pi,  # round\n    e as base,\n)\n", {"pi": "math:pi", "base": "math:e"}),
        ("if a:\n    b = 1\nelse:\n    c = 2\nd(b)", {"b": OWN, "c": OWN}),
        ("if a: b = 1", {"b": OWN}),
        ("for a, b in c:\n    d = a", {"a": OWN, "b": OWN, "d": OWN}),
        ("try:\n    import x\nexcept E as e:\n    x = None", {"x": OWN, "e": OWN}),
        ("with a as b: pass", {"b": OWN}),
        ("def h(a):\n    global b\n    b = a", {"h": OWN, "b": OWN}),
        ("def h(a): global b; b = a", {"h": OWN, "b": OWN}),
        ("a \\\n = 1", {"a": OWN}),
        ("ａ = 1", {"a": OWN}),
        ("a = 1\rb = 2\r\nc = 3", {"a": OWN, "b": OWN, "c": OWN}),
        ("match, a = 1, 2", {"match": OWN, "a": OWN}),
        ("# a = 1\n\nf(a)", {}),
    ],
)
def test_names_of_the_top_level_are_read_from_its_lines(program: str, names: dict[str, str]) -> None:
    assert module_names(program) == names


@pytest.mark.parametrize(
    ("program", "other", "name"),
    [
        ("h = 1", "def h(a): return a", "h"),
        ("import math", "import math", None),
        ("from math import pi", "from cmath import pi", "pi"),
        ("import math", "math = 3", "math"),
        ("h = 1", "def g(a):\n    h = a\n    return h", None),
        ("sorted = list", "def g(a): return sorted(a)", "sorted"),
        ("sorted = list", "def g(a): return a", None),
        ("from math import pow", "def g(a): return pow(a, 2)", "pow"),
    ],
)
def test_names_clash_where_one_program_would_change_what_the_other_means(
    program: str, other: str, name: str | None
) -> None:
    assert clash(module_names(program), module_names(other), other) == name
