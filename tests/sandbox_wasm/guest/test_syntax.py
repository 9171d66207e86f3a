"""Facts of a program's syntax, asked of the guest in a forked child: inspection never runs and never raises."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox_wasm.process.backend import ProcessBackend
from sandbox_wasm.protocol import Facts, InspectJob, InspectResult


def inspect(backend: ProcessBackend, program: str, entry: str = "f") -> InspectResult:
    result = backend.run(InspectJob(program=program, entry=entry))
    assert isinstance(result, InspectResult)
    return result


def facts(backend: ProcessBackend, program: str, entry: str = "f") -> Facts:
    result = inspect(backend, program, entry)
    assert result.facts is not None, result
    return result.facts


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("def f(a) return a", "syntax"),
        ("def f(a):\n\treturn a\n        return a", "syntax"),
        ("def f(a): return 'x", "syntax"),
        ("def f(a): return " + "1" * 5000, "syntax"),
        ("def f(a): return 1 = 2", "syntax"),
        ("def g(a): return a", "no_entry"),
        ("", "no_entry"),
        ("f = 3", "no_entry"),
        ("f: int", "no_entry"),
        ("g: Callable = lambda a: a", "no_entry"),
        ("def g(a): return a\nf = g", "no_entry"),
        ("class f: pass", "no_entry"),
        ("class C:\n    def f(self): return 1", "no_entry"),
        ("def g():\n    def f(a): return a", "no_entry"),
        ("def f(a): return '\0'", "null_byte"),
        ("def f(a): return '\ud800'", "surrogate"),
        ("def f(a): return a\n" + "#" * (64 << 10), "too_large"),
        ("def f(a): return " + "(" * 5_000 + ")" * 5_000, "too_deep"),
        ("def f(a): return " + "-" * 20_000 + "a", "too_deep"),
        ("def f(a): return a" + "+a" * 20_000, "too_deep"),
        ("def f(a): return a" + ".a" * 20_000, "too_deep"),
        ("".join(f"{' ' * depth}if 1:\n" for depth in range(120)) + " " * 120 + "pass", "too_deep"),
    ],
    ids=lambda value: value if len(value) < 10 else "",
)
def test_what_is_no_program_has_a_machine_readable_reason(backend: ProcessBackend, program: str, reason: str) -> None:
    result = inspect(backend, program)
    assert (result.facts, result.reason) == (None, reason), result.detail
    assert result.detail


@pytest.mark.parametrize(
    ("program", "count"),
    [
        ("def f(): return 1", 0),
        ("def f(a, b=2): return a", 2),
        ("def f(a, /, b, *, c): return a", 3),
        ("def f(*a): return a", 1),
        ("def f(a, *b, c=1, **d): return a", 4),
        ("f = lambda a, b: a", 2),
        ("f: Callable = lambda a, b: a", 2),
        ("async def f(a): return a", 1),
        ("def f(a): return a\ndef f(a, b): return b", 2),
        ("if True:\n    def f(a): return a", 1),
        ("try:\n    import x\nexcept ImportError:\n    def f(a): return a", 1),
    ],
)
def test_parameters_are_counted_on_the_last_definition_at_module_level(
    backend: ProcessBackend, program: str, count: int
) -> None:
    assert facts(backend, program).parameters == count


def test_imports_are_found_however_they_are_written(backend: ProcessBackend) -> None:
    found = facts(
        backend,
        """
import os.path as p, sys
from time import time as clock
from . import sibling
def f(a):
    import secrets
    r = __import__('random')
    importlib.import_module("subprocess")
    __import__(a)
    return p.join(clock())
""",
    )
    assert found.modules == (".", "os.path", "random", "secrets", "subprocess", "sys", "time")
    assert {"os", "os.path", "os.path.join", "time.time", "random", "__import__"} <= set(found.names)


def test_names_are_dotted_and_resolved_through_imports(backend: ProcessBackend) -> None:
    found = facts(
        backend, "import os as o\ndef f(a): return o.environ['x'], eval(a), a.__class__.__bases__, ().__doc__"
    )
    assert {"os.environ", "o.environ", "eval", "a.__class__.__bases__", "__class__", "__bases__", "__doc__"} <= set(
        found.names
    )


def test_functions_classes_and_calls_are_told(backend: ProcessBackend) -> None:
    found = facts(
        backend,
        """
def g_0(x): return x
def g_1(x): return x
class Box: pass
def f(a):
    b = g_0(a)
    g_1(3)
    print(len(b), Box())
    return sorted([b], key=lambda item: g_2(item + 1))
""",
    )
    assert found.functions == ("g_0", "g_1", "f")
    assert found.classes == ("Box",)
    assert found.calls == ("g_0", "g_2", "len", "print", "sorted"), "g_1 and Box get nothing of the entry's own"


SAME = [
    ("def f(a): return a", "def f(value):\n\n    # a comment\n    '''A docstring.'''\n    return (value)"),
    ("def f(a): return a", "def f(a: int = 1) -> str: return a".replace(" = 1", "")),
    ("def f(a):\n    b: int = a\n    return b", "def f(x):\n    y = x\n    return y"),
    ("def f(a):\n    c: int\n    pass\n    return a", "def f(a): return a"),
    ("def g(x): return x\ndef f(a): return g(a)", "def helper(y): return y\ndef f(z): return helper(z)"),
    ("def f(a): return [x for x in a]", "def f(b): return [a for a in b]"),
    ("def f(a): return 0x10", "def f(a): return 16"),
    ("def f(a): return 'x'", 'def f(a): return "x"'),
    ("import math as m\ndef f(a): return m.pi", "import math as q\ndef f(b): return q.pi"),
    (
        "def f(a):\n    try: return a\n    except E as e: return e",
        "def f(b):\n    try: return b\n    except E as x: return x",
    ),
    (
        "def f(a):\n    def g(b): return a + b\n    return g(1)",
        "def f(x):\n    def h(y): return x + y\n    return h(1)",
    ),
    (
        "def f(a):\n    x = 1\n    return x\ndef g(a):\n    x = 2\n    return x",
        "def f(a):\n    x = 1\n    return x\ndef g(b):\n    y = 2\n    return y",
    ),
    ("class A: pass\ndef f(a): return A()", "class B: 'doc'\ndef f(a): return B()"),
    ("class A(C):\n    x: int\ndef f(a): return A", "class B(C):\n    x: float\ndef f(a): return B"),
    ("class A: x: int = 1\ndef f(a): return A", "class B:\n    x = 1\n    y: int\ndef f(a): return B"),
    (
        "class A:\n    def g(s):\n        x: int = 1\n        y: int\ndef f(a): return A",
        "class A:\n    def g(s):\n        x = 1\ndef f(a): return A",
    ),
    ("def f(a): return lambda x, *y: x", "def f(b): return lambda p, *q: p"),
    (
        "def f(a):\n    match a:\n        case [x, *y]: return x",
        "def f(b):\n    match b:\n        case [p, *q]: return p",
    ),
]

DIFFERENT = [
    ("def f(a): return a", "def f(a): return 1"),
    ("def f(a, b): return a", "def f(a, b): return b"),
    ("def f(a, b): return a - b", "def f(b, a): return a - b"),
    ("def f(a): return 1", "def f(a): return 1.0"),
    ("def f(a): return 1", "def f(a): return True"),
    ("def f(a): return '1'", "def f(a): return b'1'"),
    ("def f(a): return a.x", "def f(a): return a.y"),
    ("def f(a): return len(a)", "def f(a): return sum(a)"),
    ("def f(a): return g(x=a)", "def f(a): return g(y=a)"),
    ("def f(a): return [a]", "def f(a): return (a,)"),
    ("def f(a, b=1): return a", "def f(a, *, b=1): return a"),
    ("def f(*a): return a", "def f(**a): return a"),
    ("def f(*a): return a", "def f(a): return a"),
    ("def f(a):\n    if a: return 1\n    return 2", "def f(a):\n    if a: return 1\n    else: return 2"),
    ("def f(a): return a < 1", "def f(a): return a > 1"),
    ("import math\ndef f(a): return math.pi", "import cmath\ndef f(a): return cmath.pi"),
    ("from math import pi\ndef f(a): return pi", "from math import e\ndef f(a): return e"),
    ("def f(a):\n    x = a\n    return x", "def f(a):\n    global x\n    x = a\n    return x"),
    ("def f(a): return f'{a}'", "def f(a): return f'{a!r}'"),
    ("def f(a):\n    for x in a: pass\n    return x", "def f(a):\n    for x in a: break\n    return x"),
    ("def f(a, b): return [a for a in b]", "def f(a, b): return [a for c in b]"),
    # Calls name parameters by their own names, which must not be lost in what the names are replaced by.
    (
        "def g(p, q): return p - q\ndef f(a): return g(p=a, q=1)",
        "def g(q, p): return q - p\ndef f(a): return g(p=a, q=1)",
    ),
    (
        "g = lambda p, q: p - q\ndef f(a): return g(p=a, q=1)",
        "g = lambda q, p: q - p\ndef f(a): return g(p=a, q=1)",
    ),
    ("def f(*, a, b): return a - b", "def f(*, b, a): return b - a"),
    # What a decorator or a base makes fields of takes its arguments in their order.
    ("class C(B):\n x: int\n y: int\ndef f(a): return C", "class C(B):\n y: int\n x: int\ndef f(a): return C"),
    ("class C(B):\n x: int = 1\ndef f(a): return C", "class C(B):\n x = 1\ndef f(a): return C"),
    ("@d\nclass C:\n x: int\n y: int\ndef f(a): return C", "@d\nclass C:\n y: int\n x: int\ndef f(a): return C"),
    ("class C(B):\n if 1:\n  x: int\ndef f(a): return C", "class C(B):\n if 1: pass\ndef f(a): return C"),
]


@pytest.mark.parametrize(("left", "right"), SAME, ids=range(len(SAME)))
def test_programs_that_differ_in_names_and_layout_have_one_normal_form(
    backend: ProcessBackend, left: str, right: str
) -> None:
    assert facts(backend, left).normal_form == facts(backend, right).normal_form


@pytest.mark.parametrize(("left", "right"), DIFFERENT, ids=range(len(DIFFERENT)))
def test_programs_that_do_something_else_have_another(backend: ProcessBackend, left: str, right: str) -> None:
    assert facts(backend, left).normal_form != facts(backend, right).normal_form


def test_tokens_are_the_kinds_of_nodes_in_order(backend: ProcessBackend) -> None:
    assert facts(backend, "def f(a):\n    'doc'\n    return a + 1").tokens == (
        "FunctionDef",
        "Return",
        "BinOp",
        "Name",
        "Add",
        "Constant",
    )


def test_cyclomatic_complexity_is_one_and_one_for_each_decision(backend: ProcessBackend) -> None:
    program = """
def f(a):
    if a and a > 1 or a < -1:       # if, two boolean operators
        return 1
    elif a:                         # elif
        pass
    for x in [y for y in a if y]:   # for, comprehension, its if
        while x:                    # while
            x = 1 if x else 0       # conditional expression
    try:
        assert a                    # assert
    except ValueError:              # except
        pass
    return a
"""
    assert facts(backend, program).cyclomatic == 1 + 11


def test_cognitive_complexity_counts_breaks_in_the_flow_and_their_nesting(backend: ProcessBackend) -> None:
    program = """
def f(a):
    if a:                 # 1
        for x in a:       # 2 (nested once)
            if x:         # 3 (nested twice)
                break
    elif a is None:       # 1
        return 0
    else:                 # 1
        return a and 1    # 1
    return [g for g in a]
"""
    assert facts(backend, program).cognitive == 9
    assert facts(backend, "def f(a): return a").cognitive == 0


@pytest.mark.parametrize(
    ("inner", "count"),
    [
        ("def g(y):\n        return 1 if y else 2", 2),
        ("g = lambda y: 1 if y else 2", 2),
        ("return sorted(x, key=lambda y: 1 if y else 2)", 2),
        ("with x:\n        def g(y): return 1 if y else 2", 2),
        ("g = 1 if x else 2", 1),
        ("class C:\n        def g(self): return 1 if self else 2", 1),
    ],
)
def test_a_function_in_a_function_nests_wherever_it_stands(backend: ProcessBackend, inner: str, count: int) -> None:
    assert facts(backend, f"def f(x):\n    {inner}").cognitive == count


def test_halstead_of_a_line_worked_by_hand(backend: ProcessBackend) -> None:
    # a + b * a: operators +, * (n1 = 2, N1 = 2); operands of *: b, a; of +: a, (b * a): n2 = 3, N2 = 4.
    found = facts(backend, "def f(a, b): return a + b * a")
    assert found.halstead_volume == pytest.approx(6 * 2.321928094887362)
    assert found.halstead_effort == pytest.approx(2 / 2 * 4 / 3 * 6 * 2.321928094887362)
    assert facts(backend, "def f(a): return a").halstead_volume == 0.0


def test_lines_are_those_that_hold_something(backend: ProcessBackend) -> None:
    assert facts(backend, "\n\ndef f(a):\n\n    # why\n    return a\n").lines == 3


PROGRAM = """
import math
from collections import defaultdict as dd

class Stack:
    '''A stack.'''
    items: list[int] = []
    def push(self, *values: int, **named) -> None:
        self.items += [value for value in values if value not in self.items]

def f(a, b=(1, 2.5, 'x', b'y'), /, *, c: int = 3):
    def helper(n):
        nonlocal a
        a = n if n > 1 else -n
        return lambda x: x ** n
    with open('x') as g, open('y'):
        try:
            while (y := helper(3)(a)) and not y < 10:
                a += 1; del b[0]
        except (ValueError, KeyError) as error:
            raise RuntimeError from error
        finally:
            print(f'{a!r:>{c}}', *b, sep='')
    match a:
        case {'k': [1, *rest], **others} | Stack(items=rest) if rest: return rest
        case _: pass
    return {**{1: 2}, **{k: v for k, v in dd(int).items()}}, {*a}, a[1:2, ...], 1j, None
"""


def test_every_construct_of_the_language_has_facts(backend: ProcessBackend) -> None:
    assert facts(backend, PROGRAM).cyclomatic > 5


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_no_text_makes_the_inspector_do_anything_but_answer(backend: ProcessBackend, data: st.DataObject) -> None:
    """Random texts, random bytes, and a real program with pieces cut, doubled and swapped."""
    kind = data.draw(st.integers(0, 2))
    if kind == 0:
        program = data.draw(st.text())
    elif kind == 1:
        program = data.draw(st.binary()).decode("latin-1")
    else:
        start, end, into = sorted(data.draw(st.tuples(*[st.integers(0, len(PROGRAM))] * 3)))
        program = (
            PROGRAM[:start]
            + data.draw(st.sampled_from(["", PROGRAM[end:into], PROGRAM[into:end], "(", "\n    "]))
            + PROGRAM[end:]
        )
    result = inspect(backend, program)
    assert (result.facts is None) is bool(result.reason)
    assert result.reason in ("", "syntax", "no_entry", "too_deep", "null_byte", "surrogate")
