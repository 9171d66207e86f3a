"""Verification: which answers hold, and that no answer can be anything but what it says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from azr.game.gate import MAX_TEXT
from azr.game.plan import drive
from azr.game.reasons import UNDECIDED
from azr.game.tasks import task_type
from azr.game.types import Task, Verdict
from azr.game.verification import (
    VerifyRules,
    compare,
    expected_forms,
    gives_expected,
    read_answer,
    unreadable_input,
)
from sandbox_wasm.protocol import Limits, LiteralJob, LiteralResult, Outcome, RunJob, RunResult, Sandbox, Value
from tests.game.conftest import task

Verify = Callable[..., Verdict]

#: (expected output, answer, equal as Python says with nan equal to nan, equal type by type)
EQUALITY = [
    ("1", "1", True, True),
    ("1", "True", True, False),
    ("1", "1.0", True, False),
    ("True", "1.0", True, False),
    ("1", "1+0j", True, False),
    ("1", "2", False, False),
    ("0", "-0", True, True),
    ("0.0", "-0.0", True, False),
    ("0", "False", True, False),
    ("None", "False", False, False),
    ("None", "None", True, True),
    ("10**2", "100", None, None),
    ("0.1", "0.1000000000000000055511151231257827", True, True),
    ("0.3", "0.30000000000000004", False, False),
    ("1e16", "10000000000000000", True, False),
    ("float('nan')", "float('nan')", True, True),
    ("[float('nan'), {'a': (float('nan'),)}]", "[float('nan'), {'a': (float('nan'),)}]", True, True),
    ("[1, float('nan')]", "[float('nan'), 1]", False, False),
    ("float('inf')", "1e999", True, True),
    ("float('inf')", "-float('inf')", False, False),
    ("{1, 2, 3}", "{3, 2, 1}", True, True),
    ("{1, 2}", "{1, 2, 2}", True, True),
    ("{1, 2}", "{True, 2.0}", True, False),
    ("{1, 2}", "frozenset({1, 2})", True, False),
    ("set()", "{}", False, False),
    ("{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}", True, True),
    ("{'a': 1}", "{'a': True}", True, False),
    ("{1: 'x'}", "{True: 'x'}", True, False),
    ("{'a': 1}", "{'a': 1, 'b': 2}", False, False),
    ("[1, 2]", "(1, 2)", False, False),
    ("(1, 2)", "1, 2", True, True),
    ("(1,)", "1", False, False),
    ("[]", "()", False, False),
    ("'1'", "'1 '", False, False),
    ("'1'", "1", False, False),
    ("' 7 '", "'     7     '", False, False),
    ("'[1, 2]'", "'[1,2]'", False, False),
    ("'a'", '"a"', True, True),
    ("'a'", "'''a'''", True, True),
    ("'ab'", "'a' 'b'", True, True),
    ("'a\\n'", "'a\\x0a'", True, True),
    ("'é'", "'\\xe9'", True, True),
    ("'é'", "'e\\u0301'", False, False),
    ("'a'", "b'a'", False, False),
    ("b'a'", "bytearray(b'a')", True, False),
    ("'a'", "a", None, None),
    ("''", "", None, None),
    ("0x10", "16", True, True),
    ("1_000", "1000", True, True),
]


@pytest.mark.parametrize(("expected", "answer", "python", "exact"), EQUALITY)
def test_equality(verify: Verify, expected: str, answer: str, python: bool | None, exact: bool | None) -> None:
    """`None` stands for what is no literal: an answer is malformed, an expected value unreadable."""
    given = task("deduction", "", {"": expected})
    for equality, holds in (("python", python), ("exact", exact)):
        verdict = verify(given, answer, equality=equality)
        assert verdict.correct is bool(holds), verdict
        if holds is None:
            assert verdict.reason.startswith("malformed:") or verdict.reason == "unreadable_expected"


DOUBLE = task("abduction", "def f(a, b=0):\n    return a * 2 + b", {"2": "4"})


@pytest.mark.parametrize("answer", ["2", "2.0", "1, 2", "a=2", "1, b=2", "0, 4", "-1, 6", "f(2)", " 2 ,"])
def test_abduction_takes_any_input_that_gives_the_output(verify: Verify, answer: str) -> None:
    kind = task_type("abduction")
    read = kind.parse_answer(answer, "full")
    assert isinstance(read, str)
    assert verify(DOUBLE, read).correct, verify(DOUBLE, read)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("3", "wrong"),
        ("'2'", "error"),
        ("", "error"),
        ("1, 2, 3", "error"),
        ("2, c=3", "error"),
        ("1) or (True", "malformed:not_literal"),
        ("2) == 4 or f(2", "malformed:not_literal"),
        ("(x := 2)", "malformed:not_literal"),
        ("*[2]", "malformed:not_literal"),
        ("**{'a': 2}", "malformed:not_literal"),
        ("lambda: 2", "malformed:not_literal"),
        ("__import__('os').system('true')", "malformed:not_literal"),
        ("[x for x in [2]][0]", "malformed:not_literal"),
        ("2 # comment\n)", "malformed:not_literal"),
        ("2\0", "malformed:not_literal"),
        ("'\ud800'", "malformed:surrogate"),
        ("[" * 10_000, "malformed:not_literal"),
        ("'" + "a" * MAX_TEXT + "'", "malformed:too_long"),
    ],
)
def test_abduction_refuses_what_is_no_list_of_literal_arguments_that_binds(
    verify: Verify, answer: str, why: str
) -> None:
    verdict = verify(DOUBLE, answer)
    assert not verdict.correct
    assert verdict.reason == why
    assert verdict.well_formed is not why.startswith("malformed:")


def test_an_abduction_is_run_with_its_names_in_the_order_it_gave_them(verify: Verify) -> None:
    ordered = task("abduction", "def f(**k): return list(k)", {"b=1, a=2": "['b', 'a']"})
    assert verify(ordered, "b=3, a=0").correct
    assert verify(ordered, "a=2, b=1").reason == "wrong"


def test_abduction_counts_fuel_and_memory_of_the_answers_run_as_wrong(verify: Verify) -> None:
    loops = task("abduction", "def f(n):\n    while n != 1: n = n\n    return n", {"1": "1"})
    assert verify(loops, "2").reason == "timeout"
    grows = task("abduction", "def f(n):\n    return len(bytearray(n)) and 1", {"1": "1"})
    assert verify(grows, str(10**9)).reason == "memory"
    hides = task("abduction", "def f(n):\n    return iter([n]) if n else 0", {"0": "0"})
    assert verify(hides, "1").reason == "opaque"


def test_deduction_runs_nothing(verify: Verify) -> None:
    assert verify(task("deduction", "while True: pass", {"1": "2"}), "2").correct


TRIPLE = task(
    "induction",
    "def f(a):\n    return a * 3",
    {"1": "3", "2": "6", "'x'": "'xxx'", "[0]": "[0, 0, 0]"},
    shown=2,
    message="Three of it.",
)


def test_induction_takes_any_program_that_agrees_on_all_pairs(verify: Verify) -> None:
    assert verify(TRIPLE, "def f(b):\n    return b + b + b").correct


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("def f(b):\n    return {1: 3, 2: 6}[b]", "error"),
        ("def f(b):\n    return 3 if b == 1 else 6", "wrong"),
        ("def f(b):\n    return b * 3 if isinstance(b, (str, list)) else 0", "wrong"),
        ("def f(b):\n    while True: pass", "timeout"),
        ("def f(b):\n    return iter(b)", "error"),
        ("def f(b):\n    raise SystemExit", "error"),
        ("import os\ndef f(b):\n    os._exit(0)", "error"),
        ("import os\nos._exit(1)\ndef f(b):\n    return b * 3", "error"),
        ("def g(b):\n    return b * 3", "malformed:no_entry"),
        ("b * 3", "malformed:no_entry"),
        ("def f(b) return", "malformed:syntax"),
        ("#" * (MAX_TEXT + 1), "malformed:too_long"),
        ("class f:\n    def __init__(self, b): pass\n    def __eq__(self, o): return True", "malformed:no_entry"),
        (
            "class Yes:\n    __eq__ = lambda me, other: True\n    __repr__ = lambda me: '3'\ndef f(b): return Yes()",
            "opaque",
        ),
        ("class Yes(int):\n    def __eq__(self, other): return True\ndef f(b): return Yes(3)", "opaque"),
    ],
)
def test_induction_refuses_programs_that_fail_on_a_shown_or_a_hidden_pair(
    verify: Verify, answer: str, why: str
) -> None:
    verdict = verify(TRIPLE, answer)
    assert (verdict.correct, verdict.reason) == (False, why)


def test_induction_checks_the_shown_pairs_too(verify: Verify) -> None:
    contradicts_shown = "def f(b):\n    return b * 3 if b != 1 else 0"
    verdict = verify(TRIPLE, contradicts_shown)
    assert verdict.reason == "wrong"
    assert "pair 1 of 4" in verdict.detail


def _judged_by_hand(first: Outcome) -> tuple[list[tuple[str, ...]], Verdict]:
    """The inputs of each run where the first of three ends so and the others give what is expected; the verdict."""
    outcomes = {"1": first, "2": Outcome("ok", Value("4", "4", "4")), "3": Outcome("ok", Value("6", "6", "6"))}
    asked: list[tuple[str, ...]] = []
    judging = gives_expected("def f(n): ...", ("1", "2", "3"), ("2", "4", "6"), VerifyRules())
    try:
        (job,) = next(judging)
        while True:
            assert isinstance(job, RunJob)
            asked.append(job.inputs)
            (job,) = judging.send((RunResult(tuple(outcomes[given] for given in job.inputs)),))
    except StopIteration as end:
        return asked, end.value


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (Outcome("ok", Value("3", "3", "3")), "wrong"),
        (Outcome("error", error="ValueError"), "error"),
        (Outcome("timeout"), "timeout"),
    ],
)
def test_an_answer_that_fails_on_the_first_input_is_run_on_no_other(first: Outcome, reason: str) -> None:
    asked, verdict = _judged_by_hand(first)
    assert (asked, verdict.reason) == ([("1",)], reason)
    assert "pair 1 of 3" in verdict.detail


def test_where_the_first_input_went_well_all_others_are_run_at_once() -> None:
    asked, verdict = _judged_by_hand(Outcome("ok", Value("2", "2", "2")))
    assert (asked, verdict.reason) == ([("1",), ("2", "3")], "correct")


@pytest.mark.parametrize("status", ["retry", "crashed"])
def test_where_the_first_input_decided_nothing_the_others_wait_until_the_whole_is_asked_again(status: str) -> None:
    asked, verdict = _judged_by_hand(Outcome(status, error="wall clock"))  # type: ignore[arg-type]
    assert (asked, verdict.reason) == ([("1",)], status)


def test_every_input_meets_a_fresh_program(verify: Verify) -> None:
    counting = "n = 0\ndef f(b):\n    global n\n    n += 1\n    return b * 3 if n == 1 else None"
    assert verify(TRIPLE, counting).correct


@pytest.mark.parametrize(
    ("answer", "correct", "reason"),
    [
        ("IndexError", True, "correct"),
        ("IndexError: list index out of range", True, "correct"),
        ("'IndexError'", True, "correct"),
        ("builtins.IndexError", True, "correct"),
        ("LookupError", False, "wrong"),
        ("indexerror", False, "wrong"),
        ("NoError", False, "wrong"),
        ("", False, "malformed:not_error_name"),
        ("it raises an IndexError", False, "malformed:not_error_name"),
        ("IndexError or ValueError", False, "malformed:not_error_name"),
    ],
)
def test_error_answers_name_the_class_exactly(verify: Verify, answer: str, correct: bool, reason: str) -> None:
    verdict = verify(task_type("error").example(), answer)
    assert (verdict.correct, verdict.reason) == (correct, reason)


def test_the_wall_clock_never_says_wrong() -> None:
    rules, fine = VerifyRules(), Outcome("ok", Value("1", "1", "1"))
    late = Outcome("retry", error="wall clock")
    assert compare([fine, late], ["1", "1"], rules).reason == "retry"
    assert compare([late, fine], ["1", "1"], rules).reason == "retry"
    assert compare([late, fine], ["1", "2"], rules).reason == "wrong"
    assert compare([fine, fine], ["1", "1"], rules) == Verdict(correct=True, well_formed=True, reason="correct")
    assert not compare([late], ["1"], rules).correct


@pytest.mark.parametrize("status", ["retry", "crashed"])
def test_a_reading_that_the_machine_could_not_finish_decides_nothing_about_form(status: str) -> None:
    broken = LiteralResult((Outcome(status, error="worker died"),))  # type: ignore[arg-type]
    for given in (task("deduction", "", {"1": "1"}), task("deduction", "", {"1": "1"}, output_keys=("1",))):
        plan = task_type("deduction").verify(given, "1", VerifyRules())
        next(plan)
        with pytest.raises(StopIteration) as stop:
            plan.send((broken,))
        assert stop.value.value == Verdict(correct=False, well_formed=True, reason=status, detail="worker died")


def test_keys_that_a_task_carries_save_the_reading_of_its_outputs() -> None:
    given = task("deduction", "", {"1": "1"}, output_keys=("1",))
    with pytest.raises(StopIteration) as stop:
        next(expected_forms(given, VerifyRules()))
    assert stop.value.value == ("1",)
    # Keys are those of Python's equality, so the stricter one reads for itself.
    assert next(expected_forms(given, VerifyRules(equality="exact")))


def test_a_task_whose_own_output_is_no_literal_is_named_as_such(verify: Verify) -> None:
    for kind in ("deduction", "abduction", "induction"):
        given = task(kind, "def f(a): return a", {"1": "<object>"}, shown=0)
        assert verify(given, "def f(a): return a" if kind == "induction" else "1").reason == "unreadable_expected"


def test_a_run_that_calls_its_input_unreadable_has_failed_by_itself() -> None:
    """The gate has read every input: a guest that says otherwise is hijacked, and would have its failure forgiven."""
    _, verdict = _judged_by_hand(Outcome("refused", error="not a literal"))
    assert verdict == Verdict(correct=False, well_formed=True, reason="error", detail="pair 1 of 3: not a literal")
    assert verdict.reason not in UNDECIDED


def test_inputs_of_tasks_from_elsewhere_are_read_before_anything_runs(sandbox: Sandbox) -> None:
    assert drive(unreadable_input(("1", "'a', b=[2]")), sandbox) is None
    verdict = drive(unreadable_input(("1", "x")), sandbox)
    assert verdict is not None
    assert (verdict.reason, verdict.detail[:3]) == ("unreadable_input", "x: ")


@pytest.mark.parametrize(("allowed", "read"), [(1 << 10, MAX_TEXT), (256 << 10, 256 << 10)])
def test_values_are_read_at_the_length_that_runs_and_answers_may_have(allowed: int, read: int) -> None:
    rules = VerifyRules(limits=Limits(output_bytes=allowed), equality="exact")
    (outputs,) = next(expected_forms(task("deduction", "", {"1": "1"}), rules))
    (answer,) = next(read_answer("1", "value", rules))
    (arguments,) = next(read_answer("1", "arguments", rules))
    assert isinstance(outputs, LiteralJob)
    assert isinstance(answer, LiteralJob)
    assert isinstance(arguments, LiteralJob)
    assert (outputs.output_bytes, answer.output_bytes, arguments.output_bytes) == (read, read, MAX_TEXT)


def test_verdicts_show_hostile_text_bounded(verify: Verify) -> None:
    verdict = verify(task("deduction", "", {"1": "1"}), "'" + "\u202e" * 1000 + "'")
    assert verdict.reason == "wrong"
    assert verdict.detail.isprintable()
    assert len(verdict.detail) <= 300


def test_what_was_accepted_verifies_against_itself(verify: Verify) -> None:
    answers: dict[str, Callable[[Task], str]] = {
        "deduction": lambda t: t.outputs[0],
        "abduction": lambda t: t.inputs[0],
        "induction": lambda t: t.program,
        "error": lambda t: t.outputs[0],
        "composite": lambda t: t.outputs[0],
    }
    for name, answer in answers.items():
        example: Task = task_type(name).example()
        assert verify(example, answer(example)) == Verdict(correct=True, well_formed=True, reason="correct"), name
