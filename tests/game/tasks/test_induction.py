"""Induction: what a set of inputs and a message must be to make a fair task."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from azr.game.tasks import Ask, task_type
from azr.game.types import Candidate, Refusal, Task
from tests.game.conftest import task

PROGRAM = "def f(number):\n    return sum(int(digit) for digit in str(number))"
INPUTS = tuple(str(number) for number in (1, 12, 123, 99, 7, 40, 41, 42, 1000, 77))
MESSAGE = "Look at the number digit by digit."

Gate = Callable[..., Task | Refusal]
Reason = Callable[..., str]


def test_the_first_half_is_shown_and_all_pairs_are_kept(gate: Gate) -> None:
    accepted = gate("induction", PROGRAM, *INPUTS, message=MESSAGE)
    assert isinstance(accepted, Task)
    assert accepted.shown == 5
    assert accepted.inputs == INPUTS
    assert accepted.outputs == ("1", "3", "6", "18", "7", "4", "5", "6", "1", "14")
    assert accepted.message == MESSAGE
    for style in ("full", "compact"):
        prompt = task_type("induction").solve_prompt(accepted, style)
        assert "123" in prompt
        assert "1000" not in prompt
        assert MESSAGE in prompt
        assert "sum(" not in prompt


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        (INPUTS[:9], "input_count"),
        ((*INPUTS, "5"), "input_count"),
        ((*INPUTS[:9], "x"), "input_not_literal"),
        ((*INPUTS[:9], "'x'"), "error"),
        ((*INPUTS[:9], INPUTS[0]), "hidden_input_shown"),
        ((*INPUTS[:9], " 1 "), "hidden_input_shown"),
        ((*INPUTS[:9], "True"), "hidden_input_shown"),
        (("1", "10", "100", "1000", "10000", "100000", "1000000", "10**7", "1", "1"), "input_not_literal"),
        (tuple(str(10**power) for power in range(10)), "constant_output"),
    ],
)
def test_inputs_that_make_no_task(reason: Reason, inputs: tuple[str, ...], why: str) -> None:
    assert reason("induction", PROGRAM, *inputs, message=MESSAGE) == why


@pytest.mark.parametrize(
    "message",
    [
        PROGRAM,
        f"Here it is:\n```python\n{PROGRAM}\n```",
        "The answer:\n  def f(number):\n    ...",
        "Use lambda n: n + 1 here.",
        "It will return number + 1 at the end.",
        "It will return sum(digits of the number).",
        "Compute sum(int(digit) for digit in str(number)) and you are done.",
        "Compute sum ( int(digit)\nfor digit in str(number) ) and you are done.",
        "> class Solver:\n> ...",
        "async def f(n): ...",
        "f = lambda n: n",
    ],
)
def test_a_message_that_gives_the_program_away_is_refused(reason: Reason, message: str) -> None:
    assert reason("induction", PROGRAM, *INPUTS, message=message) == "message_holds_program"


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("def f(x): return sorted(str(x))[::-1][:3]", "Compute sorted(str(x))[::-1][:3] and give it back."),
        ("def f(a):\n a=sorted(str(a))[::-1]\n return a", "Think of sorted(str(a))[::-1]."),
        ("def f(a):\n a+=sum(map(int,str(a)))\n return a", "Think of sum(map(int, str(a)))."),
        ("def f(a):\n    a += sum(map(int, str(a)))\n    return a", "Add sum(map(int,str(a))) to it."),
        ("def f(a):\n    if a % 3 == 1 or a in (4, 7): a = 4\n    return a", "Is a % 3 == 1 or a in (4, 7)?"),
        ("def f(a):\n    for d in reversed(str(a)): a = 7\n    return a", "Go over reversed(str(a))."),
        ("def f(a):\n    for d in str(a): a = a * 200 + int(d) - 1700\n    return a", "a * 200 + int(d) - 1700"),
        ("def f(a):\n    def g():\n        yield divmod(a, 7)[0] - 2\n    return sum(g())", "divmod(a, 7)[0] - 2."),
    ],
)
def test_an_expression_gives_the_program_away_whatever_stood_before_it(
    reason: Reason, program: str, message: str
) -> None:
    assert reason("induction", program, *INPUTS, message=message) == "message_holds_program"
    assert reason("induction", program, *INPUTS, message=MESSAGE) in ("accepted", "constant_output")


def test_a_program_cannot_leave_the_fence_in_which_it_is_shown() -> None:
    for program, fence in ((PROGRAM, "```"), (f'"""\n```\n"""\n{PROGRAM}', "````")):
        shown = Ask(references=(task("deduction", program, {"1": "1"}),))
        prompt = task_type("induction").propose_prompt(shown, "full")
        assert f"\n\n{fence}python\n{program}\n{fence}\n\nWrite 10 different inputs" in prompt


@pytest.mark.parametrize(
    "message",
    [
        "Return the sum of what you see.",
        "The function will return values - small ones, mostly.",
        "A class of problems: define what a digit is, then add.",
        "Für jede Ziffer… 数字",
        "x",
        "Don't think of strings; f(12) is 3.",
    ],
)
def test_a_message_in_plain_words_is_welcome(reason: Reason, message: str) -> None:
    assert reason("induction", PROGRAM, *INPUTS, message=message) == "accepted"


@pytest.mark.parametrize(("message", "why"), [("", "no_message"), (" \n", "no_message"), ("\ud800", "surrogate")])
def test_a_message_says_something_that_can_be_written_down(reason: Reason, message: str, why: str) -> None:
    assert reason("induction", PROGRAM, *INPUTS, message=message) == why


def test_the_banned_list_holds_for_given_programs_too(reason: Reason) -> None:
    assert reason("induction", "import random\ndef f(a):\n    return random.random()", *INPUTS, message="m") == "banned"


def test_a_changing_value_on_one_input_alone_is_enough(reason: Reason) -> None:
    from azr.game.banned import Banned

    program = "import random\ndef f(a):\n    return a if a != 77 else random.random()"
    free = Banned(modules={})
    assert reason("induction", program, *INPUTS, message="m", banned=free) == "nondeterministic"


def test_the_number_of_inputs_is_a_rule(reason: Reason) -> None:
    rules = {"induction_inputs": 4, "induction_shown": 2}
    assert reason("induction", PROGRAM, *INPUTS[:4], message="m", **rules) == "accepted"
    assert reason("induction", PROGRAM, *INPUTS, message="m", **rules) == "input_count"


def proposal(inputs: list[str], message: str) -> str:
    return "\n".join(f"```input\n{given}\n```" for given in inputs) + f"\n```message\n{message}\n```"


def ask(count: int = 3) -> Ask:
    return Ask(references=(task_type("induction").example(),), inputs=count)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no_input"),
        (proposal(["1", "2"], "m"), "input_count"),
        (proposal(["1", "2", "3", "4"], "m"), "input_count"),
        (proposal(["1", "2", "3"], ""), "no_message"),
    ],
)
def test_a_proposal_brings_exactly_what_was_asked_for(text: str, why: str) -> None:
    refused = task_type("induction").parse_proposal(text, ask(), "full")
    assert isinstance(refused, Refusal)
    assert refused.reason == why


@pytest.mark.parametrize(
    "text",
    [
        proposal(["1", "f(2)", " 3 "], "m"),
        "```message\nm\n```\n" + proposal(["1", "2", "3"], "").replace("```message\n\n```", ""),
        "Input 1: 1\nInput 2: f(2)\nInput 3: `3`\n\nMessage: m",
        "<input>1</input><input>2</input><input>3</input><message>m</message>",
    ],
)
def test_blocks_may_come_in_any_order_and_under_any_label(text: str) -> None:
    example = task_type("induction").example()
    parsed = task_type("induction").parse_proposal(text, ask(), "full")
    assert parsed == Candidate(program=example.program, inputs=("1", "2", "3"), message="m")


def test_the_compact_style_marks_its_inputs_and_its_message() -> None:
    example = task_type("induction").example()
    parsed = task_type("induction").parse_proposal("#i 1\n#i 2\n#i 3\n#m m", ask(), "compact")
    assert parsed == Candidate(program=example.program, inputs=("1", "2", "3"), message="m")
    refused = task_type("induction").parse_proposal("#i 1\n#i 2\n#i 3\n#m", ask(), "compact")
    assert isinstance(refused, Refusal)
