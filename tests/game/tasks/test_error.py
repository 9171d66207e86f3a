"""Error prediction: which endings make a task."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from azr.game.types import Refusal, Task


@pytest.mark.parametrize(
    ("body", "ending"),
    [
        ("return a[9]", "IndexError"),
        ("return a + 1", "TypeError"),
        ("raise ValueError('with: colons: ' + a)", "ValueError"),
        ("class Odd(Exception): pass\n    raise Odd(a)", "Odd"),
        ("raise SystemExit", "SystemExit"),
        ("assert not a", "AssertionError"),
        ("return undefined", "NameError"),
        ("return a", "NoError"),
        ("return {set()}", "TypeError"),
        ("raise ValueError(list({'p', 'q', 'r', 's', 't', 'u'}))", "ValueError"),
    ],
)
def test_an_ending_that_is_always_the_same_makes_a_task(
    gate: Callable[..., Task | Refusal], body: str, ending: str
) -> None:
    accepted = gate("error", f"def f(a):\n    {body}", "'text'")
    assert isinstance(accepted, Task), accepted
    assert accepted.outputs == accepted.output_keys == (ending,)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("return f(a)", "environment_error"),
        ("import enum\n    getattr(enum, 'sys').modules['os']._exit(0)", "environment_error"),
        ("raise MemoryError", "banned"),
        ("try:\n        return f(a)\n    except RecursionError:\n        raise ValueError from None", "banned"),
        ("return bytearray(10**9)", "memory"),
        ("while True: pass", "timeout"),
        ("return object()", "opaque"),
        ("class NoError(Exception): pass\n    raise NoError", "error_name"),
        ("raise type('two words', (Exception,), {})", "error_name"),
        ("raise type('', (Exception,), {})", "error_name"),
        ("raise type('É', (Exception,), {})", "error_name"),
        ("import random", "banned"),
    ],
)
def test_an_ending_that_nobody_could_foresee_makes_none(reason: Callable[..., str], body: str, why: str) -> None:
    assert reason("error", f"def f(a):\n    {body}", "'text'") == why


def test_an_input_that_is_no_data_is_refused(reason: Callable[..., str]) -> None:
    assert reason("error", "def f(a):\n    return a", "x") == "input_not_literal"
