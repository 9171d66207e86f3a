"""Signatures: what inspection writes of an entry's parameters, and arguments bound to them in their one spelling."""

from __future__ import annotations

import pytest

from sandbox_wasm.process.backend import ProcessBackend
from sandbox_wasm.protocol import InspectJob, InspectResult, LiteralJob, LiteralResult


def written(backend: ProcessBackend, program: str) -> str:
    result = backend.run(InspectJob(program=program))
    assert isinstance(result, InspectResult)
    assert result.facts is not None, result
    return result.facts.signature


def read(backend: ProcessBackend, signature: str, *texts: str) -> list[str]:
    result = backend.run(LiteralJob(texts=texts, form="arguments", signature=signature))
    assert isinstance(result, LiteralResult)
    return [outcome.value.literal if outcome.value else outcome.status for outcome in result.outcomes]


@pytest.mark.parametrize(
    ("program", "signature"),
    [
        ("def f(): pass", ""),
        ("def f(a: int, b: str = 'x') -> int: pass", "a, b='x'"),
        ("def f(a, b=2, /, c=[], *rest, d=None, e, **more): pass", "a, b=2, /, c=..., *rest, d=None, e, **more"),
        ("def f(a, *, b=-1.5, c=(1, ('x',)), d=..., e=1e999): pass", "a, *, b=-1.5, c=(1, ('x',)), d=..., e=inf"),
        ("K = 3\ndef f(a, b=K, c={}, d=g(), e=1 + 1, h=f'', i=+True): pass",
         "a, b=..., c=..., d=..., e=..., h=..., i=..."),
        ("f = lambda a, b='=': a", "a, b='='"),
        ("async def f(a, b=b''): pass", "a, b=b''"),
        ("if True:\n    def f(a, b=1): pass", "a, b=1"),
        ("def f(a, b=" + "9" * 4000 + "): pass", "a, b=..."),
        ("def f(a, b=" + "(" * 12 + "1" + ",)" * 12 + "): pass", "a, b=..."),
        ("def f(a, b='" + "x" * 500 + "'): pass", "a, b=..."),
        ("def f(" + ", ".join(f"parameter_{number}" for number in range(200)) + "): pass", ""),
    ],
    ids=lambda value: "",
)  # fmt: skip
def test_parameters_are_written_with_those_defaults_that_cannot_change(
    backend: ProcessBackend, program: str, signature: str
) -> None:
    assert written(backend, program) == signature


@pytest.mark.parametrize(
    "program",
    [
        "def d(g): return g\n@d\ndef f(a): pass",
        "def f(a): pass\nf = print",
        "def f(a): pass\ndef f(a, b=2): pass",
        "def f(a): pass\nclass f: pass",
        "def f(a): pass\ndef g(x=(f := 1)): pass",
        "def f(a): pass\nx = [f := y for y in '']",
        "def f(a): pass\nimport f.x",
        "def f(a): pass\ntry: pass\nexcept E as f: pass",
        "def f(a): pass\nmatch 1:\n    case f: pass",
        "def f(a): pass\nclass C:\n    global f\n    f = 1",
        "from x import *\ndef f(a): pass",
        "def f(a): pass\nimport y as f",
        "def f(a): pass\ndef g():\n    global f\n    f = 1",
    ],
)
def test_nothing_is_written_where_the_name_may_stand_for_something_else(backend: ProcessBackend, program: str) -> None:
    assert written(backend, program) == ""


@pytest.mark.parametrize(
    "program",
    [
        "def f(a):\n    f = a\n    return f",
        "def f(a):\n    def f(b): pass\n    return [f for f in a], lambda f: (f := 1)",
        "def f(a): pass\ndef g(f):\n    global h\n    from x import y as f",
        "def f(a): pass\nx = [0 for f in '']",
        "def f(a): pass\nclass C:\n    f = 1\n    def f(self): pass",
    ],
)
def test_another_scopes_variable_of_the_name_hides_no_signature(backend: ProcessBackend, program: str) -> None:
    """It would bring back the spellings: one input as several tasks."""
    assert written(backend, program) == "a"


@pytest.mark.parametrize(
    ("signature", "spellings", "one"),
    [
        ("a, b=2", ("1", "a=1", "1, 2", "b=2, a=1", "1, b=2"), "1, 2"),
        ("a, b=2, c='x'", ("1, c='y'", "c='y', a=1", "1, 2, 'y'"), "1, 2, 'y'"),
        ("a, b=..., c=3", ("1", "a=1", "1, c=3", "c=3, a=1"), "1, c=3"),
        ("a, b=..., c=3", ("1, b=[]", "b=[], c=3, a=1", "1, []"), "1, [], 3"),
        ("a, b=..., c=3, /", ("1",), "1"),
        ("a, *, b=None, c", ("1, c=0", "c=0, b=None, a=1"), "1, b=None, c=0"),
        ("a, /, b=2, *rest, **more", ("1, z=3, a=0", "1, 2, z=3, a=0", "1, z=3, b=2, a=0"), "1, 2, z=3, a=0"),
        ("*, b, a, **more", ("z=3, b=1, a=2, c=4", "a=2, z=3, c=4, b=1"), "a=2, b=1, z=3, c=4"),
        ("*rest, k=1", ("1, 2", "1, 2, k=1"), "1, 2, k=1"),
        ("a=inf, b=complex(0.0, -2.0), c=-1", ("", "inf", "b=complex(0.0, -2.0)"), "inf, complex(0.0, -2.0), -1"),
    ],
)
def test_all_spellings_of_a_call_are_read_as_one(
    backend: ProcessBackend, signature: str, spellings: tuple[str, ...], one: str
) -> None:
    assert read(backend, signature, *spellings) == [one] * len(spellings)


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        ("a, b=2", "1, 2, 3"),
        ("a, b=2", "c=1"),
        ("a, b=2", "b=3"),
        ("a, b=2", "1, a=1"),
        ("a, /", "a=1"),
        ("a, *, b", "1"),
        ("a, b=2): pass\nx = (1", "1, a=1"),
        ("a, b=print()", "1"),
        ("a, b=2" + " " * 3000, "1"),
        ("not (", "1"),
    ],
)
def test_what_does_not_bind_stays_as_it_is(backend: ProcessBackend, signature: str, text: str) -> None:
    assert read(backend, signature, text) == [text]


def test_what_is_no_data_is_refused_whatever_the_signature(backend: ProcessBackend) -> None:
    assert read(backend, "a, b=2", "x", "a=1, a=1", "1, b=f()") == ["refused"] * 3
