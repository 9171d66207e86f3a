"""Which tasks are the same task, and which programs are alike."""

from __future__ import annotations

import msgspec
import pytest

from azr.buffers.identity import digest, likeness
from azr.game.types import Task

BASE = Task(
    id="a",
    task_type="deduction",
    program="def f(x): return x + 1",
    inputs=("1",),
    outputs=("2",),
    output_keys=("int:2",),
    normal_form="p",
)


def same(one: Task, **changes: object) -> bool:
    return digest(one) == digest(msgspec.structs.replace(one, **changes))


@pytest.mark.parametrize("task_type", ["deduction", "abduction", "induction", "error_prediction", "a user's own"])
def test_names_messages_layout_and_birth_make_no_other_task(task_type: str) -> None:
    base = msgspec.structs.replace(BASE, task_type=task_type)
    assert same(base, id="b", program="def f(y):\n  return y+1", message="hint", shown=3, references=("x",))


@pytest.mark.parametrize("task_type", ["deduction", "abduction", "induction"])
def test_another_program_makes_another_task(task_type: str) -> None:
    base = msgspec.structs.replace(BASE, task_type=task_type)
    assert not same(base, normal_form="q")
    assert not same(base, components=("def g(x): return x",))


def test_deduction_is_told_apart_by_its_input() -> None:
    assert not same(BASE, inputs=("2",))
    assert same(BASE, inputs=(" 1\n",))
    assert same(BASE, outputs=("whatever",), output_keys=())


def test_abduction_is_told_apart_by_its_output_alone() -> None:
    base = msgspec.structs.replace(BASE, task_type="abduction")
    assert same(base, inputs=("another input with the same output",))
    assert same(base, outputs=("2.0",)), "values are compared by key"
    assert not same(base, output_keys=("int:3",))
    keyless = msgspec.structs.replace(base, output_keys=())
    assert same(keyless, outputs=(" 2 ",))
    assert not same(keyless, outputs=("3",))


def test_induction_is_its_set_of_inputs_in_any_order() -> None:
    base = msgspec.structs.replace(BASE, task_type="induction", inputs=("1", "2", "3"))
    assert same(base, inputs=("3", "1", "2"), message="the same in other words")
    assert not same(base, inputs=("1", "2"))
    assert not same(base, inputs=("1", "2", "4"))


def test_parts_do_not_run_together() -> None:
    assert not same(msgspec.structs.replace(BASE, inputs=("1", "23")), inputs=("12", "3"))
    assert not same(msgspec.structs.replace(BASE, normal_form="p", components=("q",)), normal_form="pq", components=())
    assert not same(msgspec.structs.replace(BASE, components=("x",), inputs=()), components=(), inputs=("x",))


def test_hostile_text_does_no_harm() -> None:
    strange = msgspec.structs.replace(BASE, inputs=("\ud800\x00",), program="\udfff" * 10)
    assert digest(strange) != digest(BASE)
    assert likeness(strange.program) >= 0


def distance(one: str, other: str) -> int:
    return (likeness(one) ^ likeness(other)).bit_count()


def test_programs_that_share_most_of_their_text_are_closer_than_those_that_share_none() -> None:
    base = "def f(items):\n    total = 0\n    for item in items:\n        total += item * 2\n    return total"
    near = base.replace("* 2", "* 3")
    far = "def f(s):\n    words = s.split()\n    return ' '.join(reversed(words)).upper()[::-1]"
    assert distance(base, base) == 0
    assert distance(base, near) < distance(base, far)
    assert distance(base, far) > 15


@pytest.mark.parametrize("text", ["", "a", "abcd", "abcde"])
def test_the_shortest_texts_have_a_likeness(text: str) -> None:
    assert 0 <= likeness(text) < 1 << 64
