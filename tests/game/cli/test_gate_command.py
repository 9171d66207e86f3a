"""`azr gate` and `azr verify`: the documented lines, in order, bad ones answered, the rest done."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from azr.cli.main import EXIT_USAGE, main
from azr.game import tasks
from azr.game.reasons import MEANINGS
from azr.game.tasks.induction import Induction

Ask = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Give a command lines, and get its answers."""

    def answers(command: str, *lines: dict[str, Any] | str, options: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
        source.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
        arguments = [command, str(source), "--output", str(target), "--backend", "process", "--workers", "1", *options]
        assert main(arguments) == 0
        return [json.loads(line) for line in target.read_text().splitlines()]

    return answers


def line(program: str, *inputs: str, task: str = "deduction", **fields: Any) -> dict[str, Any]:
    return {"id": fields.pop("id", 1), "task": task, "program": program, "inputs": list(inputs), **fields}


def test_the_gate_answers_in_the_documented_form(ask: Ask) -> None:
    digits = [str(number) for number in (1, 12, 123, 99, 7, 40, 41, 42, 1000, 77)]
    program = "def f(n):\n    return sum(map(int, str(n)))"
    accepted, refused, whole, built = ask(
        "gate",
        line("def f(a): return a[::-1]", "'abc'", id=7, other="passed over"),
        line("import os\ndef f(a): return a", "1", id="b"),
        line(program, *digits, task="induction", message="Digit by digit."),
        line("def f(a): return g_0(a) * 2", "3", task="composite", components=["def g_0(a): return a + 1"]),
    )
    assert accepted == {"id": 7, "accepted": True, "reason": None, "detail": "", "outputs": ["'cba'"]}
    assert refused == {
        "id": "b",
        "accepted": False,
        "reason": "banned",
        "detail": "os: reaches outside the program",
        "outputs": [],
    }
    assert whole["outputs"] == ["1", "3", "6", "18", "7", "4", "5", "6", "1", "14"]
    assert built["outputs"] == ["8"]


def test_bad_lines_are_answered_with_their_number_and_the_rest_is_done(ask: Ask) -> None:
    answers = ask(
        "gate",
        "nonsense",
        line("def f(a): return a", "1", task="deducton", id=2),
        line("def f(a): return a", "1", "2", id=3),
        '{"id": 4}',
        line("def f(a): return a", "1", id=5),
    )
    assert [answer.get("line") for answer in answers] == [1, 2, 3, 4, None]
    assert "did you mean 'deduction'?" in answers[1]["error"]
    assert "takes one input, not 2" in answers[2]["error"]
    assert [answer["id"] for answer in answers] == [None, 2, 3, 4, 5]
    assert answers[4]["accepted"]


def test_duplicates_are_refused_in_the_order_of_the_lines_unless_each_is_judged_by_itself(ask: Ask) -> None:
    twins = [line(f"def f({name}): return {name} * 2", "4", id=name) for name in "abc"]
    other = line("def f(a): return a * 2", "4", task="abduction")
    lines = (*twins, line("def f(a): return a * 2", "5"), other)
    assert [answer["reason"] for answer in ask("gate", *lines)] == [None, "duplicate", "duplicate", None, None]
    assert all(answer["accepted"] for answer in ask("gate", *lines, options=("--no-dedup",)))
    by_program = ask("gate", *lines, options=("--duplicate-by", "program"))
    assert [answer["accepted"] for answer in by_program] == [True, False, False, False, True]


def test_the_gates_options_are_its_rules(ask: Ask) -> None:
    loop, long = line("def f(a):\n    while True: pass", "1"), line("def f(a): return a * 30", "'x'")
    pairs = line("def f(a): return a + 1", "1", "2", task="induction", message="one more")
    options = ("--timeout", "0.05", "--max-output", "20", "--inputs", "2")
    reasons = [answer["reason"] for answer in ask("gate", loop, long, pairs, options=options)]
    assert reasons[0] in ("timeout", "retry")
    assert reasons[1:] == ["output_too_long", None]


class Several(Induction):
    """A task type of others with as many pairs as it likes."""

    name = "several"


def test_a_task_type_of_others_may_take_several_inputs_and_must_take_one(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tasks._TASK_TYPES, "several", Several())
    several = line("def f(a): return a + 1", "1", "2", task="several", message="one more")
    accepted, bare = ask("gate", several, {**several, "inputs": []}, options=("--inputs", "2"))
    assert accepted["outputs"] == ["2", "3"]
    assert bare["error"] == "several takes an input at least"
    answered = {**several, "outputs": ["2", "3"], "answer": "def f(b): return 1 + b"}
    verdict, bare = ask("verify", answered, {**answered, "outputs": []})
    assert verdict["correct"]
    assert bare["error"] == "several takes an output at least"


def test_answers_are_judged_in_the_documented_form(ask: Ask) -> None:
    program = "def f(a): return a[::-1]"
    deduction, abduction, cheat, induction, error = ask(
        "verify",
        line(program, "'abc'", outputs=["'cba'"], answer='"cba"', id=7),
        line(program, "'abc'", task="abduction", outputs=["'cba'"], answer="'abd'"),
        line(program, "'abc'", task="abduction", outputs=["True"], answer="'abc') or (True"),
        line(
            program, "'ab'", "[1, 2]", task="induction", outputs=["'ba'", "[2, 1]"], answer="def f(x): return x[::-1]"
        ),
        {"task": "error", "outputs": ["ValueError"], "answer": "ValueError: bad"},
    )
    assert deduction == {"id": 7, "correct": True, "reason": "correct", "detail": ""}
    assert (abduction["correct"], abduction["reason"], abduction["detail"]) == (False, "wrong", "gives 'dba'")
    assert cheat["reason"] == "malformed:not_literal"
    assert induction["correct"]
    assert (error["id"], error["correct"]) == (None, True)


def test_a_task_whose_own_input_is_no_literal_is_named_as_such(ask: Ask) -> None:
    answer = "def f(a): return a"
    (answered,) = ask("verify", line("", "1", "x", task="induction", outputs=["1", "1"], answer=answer))
    assert (answered["reason"], answered["detail"][:3]) == ("unreadable_input", "x: ")


def test_equality_is_an_option(ask: Ask) -> None:
    lines = [line("", "", outputs=["1"], answer="True"), line("", "", outputs=["[0.0]"], answer="[-0.0]")]
    assert [answer["correct"] for answer in ask("verify", *lines)] == [True, True]
    assert [answer["correct"] for answer in ask("verify", *lines, options=("--equality", "exact"))] == [False, False]


def test_tasks_that_do_not_add_up_are_bad_lines(ask: Ask) -> None:
    answers = ask(
        "verify",
        line("", "1", "2", task="induction", outputs=["1"], answer="x"),
        line("", "1", outputs=["1", "2"], answer="x"),
        line("", "1", task="riddle", outputs=["1"], answer="x"),
    )
    assert ["error" in answer for answer in answers] == [True] * 3
    assert "2 inputs beside 1 outputs" in answers[0]["error"]
    assert "takes one output, not 2" in answers[1]["error"]


def test_an_abduction_without_its_program_is_a_bad_line_and_no_wrong_answer(ask: Ask) -> None:
    whole = line("def f(a): return a", "1", task="abduction", outputs=["1"], answer="1")
    misspelt = {("prgram" if name == "program" else name): value for name, value in whole.items()}
    first, *bad = ask("verify", whole, misspelt, {**whole, "program": " \n"})
    assert first["correct"]
    for answer in bad:
        assert "abduction needs the field `program`" in answer["error"]


def test_a_task_without_inputs_is_refused(ask: Ask) -> None:
    (answer,) = ask("gate", line("def f(a): return a", task="induction", message="the same"))
    assert answer["reason"] == "input_count"


@pytest.mark.parametrize("option", [("--inputs", "0"), ("--inputs", "1"), ("--max-output", "0"), ("--inputs", "ten")])
def test_options_out_of_bounds_are_told(option: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", *option]) == EXIT_USAGE
    assert option[0] in capsys.readouterr().err


@pytest.mark.parametrize("command", ["gate", "verify"])
def test_the_reasons_are_explained(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert main([command, "--reasons"]) == 0
    told = capsys.readouterr().out
    assert "timeout" in told
    assert MEANINGS["retry"] in told


def test_what_the_help_shows_is_what_happens(ask: Ask) -> None:
    """The examples in the help are lines like any other."""
    from azr.cli import gate, verify

    for name, module in (("gate", gate), ("verify", verify)):
        shown = module.EPILOG.split("its answer:\n")
        asked = "{" + shown[0].partition("{")[2].replace("\n", " ")
        assert ask(name, asked) == [json.loads(shown[1].splitlines()[0])]
