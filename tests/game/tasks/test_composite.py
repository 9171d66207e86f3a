"""Composite functions: components are called, all of them, and stay what they are."""

from __future__ import annotations

import pytest

from azr.game.gate import GateRules
from azr.game.plan import drive
from azr.game.tasks import Ask, task_type
from azr.game.tasks.composite import assembled, component, components_of
from azr.game.types import Candidate, Refusal, Task
from sandbox_wasm.protocol import Sandbox
from tests.game.conftest import task

GIVEN = ("def g_0(a):\n    return a + 1", "def g_1(a):\n    return a * 2")


@pytest.mark.parametrize(
    ("program", "renamed"),
    [
        ("def f(a):\n    return a", "def g_3(a):\n    return a"),
        (
            "import math\n\ndef  f (a):\n    return f'{a}' + rf\"{a}\"",
            "import math\n\ndef g_3 (a):\n    return f'{a}' + rf\"{a}\"",
        ),
        ("def f(a):\n    return f(a - 1) if a else 0", None),
        ("def f(a):\n    return 'f'", "def g_3(a):\n    return 'f'"),
        ("    def f(a):\n        return a", None),
        ("async def f(a):\n    return a", None),
        ("def g(a):\n    return a", None),
        ("def f(a):\n    return g_0(a)", None),
        ("", None),
    ],
)
def test_a_program_is_a_component_only_if_its_entry_can_be_renamed_in_one_place(
    program: str, renamed: str | None
) -> None:
    assert component(program, 3) == renamed


def test_components_are_numbered_in_order_and_unfit_programs_passed_over() -> None:
    programs = ["def f(a): return 1", "def f(a): return f(a)", "def f(a): return 2", "def f(a): return 3"]
    tasks = [task("deduction", program, {"1": "1"}) for program in programs]
    assert components_of(tasks, 2) == ("def g_0(a): return 1", "def g_1(a): return 2")
    assert len(components_of(tasks, 9)) == 3


def judged(sandbox: Sandbox, program: str, given: str = "5") -> Task | Refusal:
    kind = task_type("composite")
    text = f"```python\n{program}\n```\n```input\n{given}\n```"
    candidate = kind.parse_proposal(text, Ask(components=GIVEN), "full")
    return candidate if isinstance(candidate, Refusal) else drive(kind.gate(candidate, GateRules()), sandbox)


def test_a_program_that_builds_on_all_components_is_a_task_of_the_whole(sandbox: Sandbox) -> None:
    accepted = judged(sandbox, "def f(a):\n    for _ in range(2):\n        a = g_1(g_0(a))\n    return a")
    assert isinstance(accepted, Task), accepted
    assert accepted.outputs == ("26",)
    assert accepted.components == GIVEN
    assert accepted.program.startswith("\n\n\n".join(GIVEN))
    assert accepted.id.startswith("composite-")


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("def f(a):\n    return g_0(a)", "component_unused"),
        ("def f(a):\n    return g_0(a) + g_1(3)", "component_unused"),
        ("def f(a):\n    return a", "component_unused"),
        ("def g_0(a):\n    return 0\ndef f(a):\n    return g_0(a) + g_1(a)", "component_misused"),
        ("def \\\n g_0(a):\n    return 0\ndef f(a):\n    return g_0(a) + g_1(a)", "component_misused"),
        ("def f(a):\n    def" + " " * 99 + "g_0(b): return 0\n    return g_0(a) + g_1(a)", "component_misused"),
        ("class g_0(int): pass\ndef f(a):\n    return g_0(a) + g_1(a)", "component_misused"),
        ("g_0 = int\ndef f(a):\n    return g_0(a) + g_1(a)", "component_misused"),
        ("def f(a, g_0=int):\n    return g_0(a) + g_1(a)", "component_misused"),
        ("def f(a):\n    h = g_0\n    return g_0(a) + g_1(a)", "component_misused"),
        ("def f(a):\n    global g_0\n    return g_0(a) + g_1(a)", "component_misused"),
        ("def ｇ_0(a):\n    return 0\ndef f(a):\n    return g_0(a) + g_1(a)", "component_misused"),
        ("def f(a):\n    return g_0(a) + g_7(a)", "component_unused"),
    ],
)
def test_components_may_be_called_and_nothing_else(sandbox: Sandbox, program: str, why: str) -> None:
    outcome = judged(sandbox, program)
    assert isinstance(outcome, Refusal)
    assert outcome.reason == why


def test_a_program_that_was_given_nothing_to_build_on_is_no_composite(sandbox: Sandbox) -> None:
    candidate = Candidate(program="def f(a):\n    return a + 1", inputs=("1",))
    assert drive(task_type("composite").gate(candidate, GateRules()), sandbox) == Refusal("no_component")


def test_components_that_do_not_bear_their_names_are_found(sandbox: Sandbox) -> None:
    twice = (GIVEN[0], GIVEN[0])
    candidate = Candidate(program=assembled(twice, "def f(a):\n    return g_0(a)"), inputs=("1",), components=twice)
    outcome = drive(task_type("composite").gate(candidate, GateRules()), sandbox)
    assert outcome == Refusal("component_redefined", "g_0")


def test_a_proposal_without_a_program_or_an_input_is_refused(sandbox: Sandbox) -> None:
    assert judged(sandbox, "", "1") == Refusal("no_program")
    assert judged(sandbox, "def f(a): return a", "") == Refusal("no_input")


def test_prompts_show_the_components_and_name_them_all() -> None:
    ask = Ask(components=GIVEN)
    full = task_type("composite").propose_prompt(ask, "full")
    assert "`g_0`, `g_1`" in full
    assert all(given in full for given in GIVEN)
    compact = task_type("composite").propose_prompt(ask, "compact")
    assert compact == f"{GIVEN[0]}\n\n{GIVEN[1]}\n#c\n"
