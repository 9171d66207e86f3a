"""Which tasks are the same task: one identity, which the gate gives and everybody else goes by."""

from __future__ import annotations

import msgspec
import pytest

from azr.game.identity import DuplicateBy, fingerprint, identified
from azr.game.tasks import names, task_type
from azr.game.types import Task, Version
from tests.game.conftest import Gate

BASE = Task(
    id="",
    task_type="",
    program="def f(x): return x + 1",
    inputs=("1",),
    outputs=("2",),
    output_keys=("int:2",),
    normal_form="p",
)


def mark(kind: str, task: Task, duplicate_by: DuplicateBy = "program_and_inputs", **changes: object) -> str:
    return identified(task_type(kind), msgspec.structs.replace(task, **changes), duplicate_by).fingerprint


def same(kind: str, one: Task, **changes: object) -> bool:
    return mark(kind, one) == mark(kind, msgspec.structs.replace(one, **changes))


@pytest.mark.parametrize("kind", names())
def test_names_messages_and_layout_make_no_other_task(kind: str) -> None:
    assert same(kind, BASE, program="def f(y):\n  return y+1", message="hint", references=("x",), born=Version(0, 3))


@pytest.mark.parametrize("kind", names())
def test_another_program_makes_another_task(kind: str) -> None:
    assert not same(kind, BASE, normal_form="q")


@pytest.mark.parametrize("kind", ["deduction", "error", "composite"])
def test_what_is_to_be_foreseen_is_told_apart_by_its_input(kind: str) -> None:
    assert not same(kind, BASE, inputs=("2",))
    assert same(kind, BASE, outputs=("3",), output_keys=("int:3",))


def test_abduction_is_told_apart_by_its_output_alone() -> None:
    assert same("abduction", BASE, inputs=("another input with the same output",))
    assert same("abduction", BASE, outputs=("2.0",)), "values are compared by key"
    assert not same("abduction", BASE, output_keys=("int:3",))


def test_induction_is_its_set_of_inputs_in_any_order_and_however_often_each_is_asked_for() -> None:
    three = msgspec.structs.replace(BASE, inputs=("1", "2", "3"))
    assert same("induction", three, inputs=("3", "1", "2"), message="the same in other words")
    assert same("induction", three, inputs=("1", "2", "2", "3"))
    assert not same("induction", three, inputs=("1", "2"))
    assert not same("induction", three, inputs=("1", "2", "4"))


@pytest.mark.parametrize("kind", names())
def test_one_task_a_program_holds_for_tasks_of_one_pair(kind: str) -> None:
    assert mark(kind, BASE, "program") == mark(kind, BASE, "program", inputs=("2",), output_keys=("int:3",))
    assert mark(kind, BASE, "program") != mark(kind, BASE, "program", normal_form="q")
    assert mark("induction", BASE, "program", inputs=("1", "2")) != mark(
        "induction", BASE, "program", inputs=("1", "3")
    )


def test_parts_do_not_run_together() -> None:
    assert fingerprint("p", ("1", "23")) != fingerprint("p", ("12", "3"))
    assert fingerprint("pq", ()) != fingerprint("p", ("q",))


def test_hostile_text_does_no_harm() -> None:
    assert fingerprint("p", ("\ud800\x00",)) != fingerprint("p", ("\ud800",))


def test_the_id_says_the_type_and_the_identity() -> None:
    task = identified(task_type("error"), BASE, "program_and_inputs")
    assert (task.task_type, task.id) == ("error", f"error-{task.fingerprint}")


def test_the_gate_gives_the_identity_by_what_it_computed(gate: Gate) -> None:
    program = "def f(a):\n    return abs(a)"
    marks = {
        kind: [
            outcome.fingerprint
            for given in ("3", "-3", " 3 ")
            if isinstance(outcome := gate(kind, program, given), Task)
        ]
        for kind in ("deduction", "abduction")
    }
    first, second, third = marks["deduction"]
    assert first == third != second
    assert len(marks["abduction"]) == 3
    assert len(set(marks["abduction"])) == 1
