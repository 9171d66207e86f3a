"""Composite functions: components are called, all of them, and stay what they are."""

from __future__ import annotations

import pytest

from azr.game.gate import MAX_TEXT, GateRules
from azr.game.plan import drive
from azr.game.tasks import Ask, task_type
from azr.game.tasks.composite import assembled, component, components_of
from azr.game.types import Candidate, Refusal, Task
from sandbox_wasm.protocol import Outcome, RunJob, RunResult, Sandbox, Status
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
        ("from __future__ import annotations\n\ndef f(a):\n    return a", None),
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


def test_programs_whose_helpers_would_replace_each_other_are_not_put_together() -> None:
    helped = "def h(a):\n    return a {sign} 1\n\ndef f(a):\n    return h(a)"
    programs = [helped.format(sign="+"), helped.format(sign="-"), "abs = int\ndef f(a): return abs(a)"]
    programs += ["import math\ndef f(a): return abs(a)", "import math\ndef f(a): return a"]
    tasks = [task("deduction", program, {"1": "1"}) for program in programs]
    first, second, third = components_of(tasks, 3)
    assert first == programs[0].replace("def f", "def g_0")
    assert second == programs[2].replace("def f", "def g_1")
    assert third == programs[4].replace("def f", "def g_2")


def judged(sandbox: Sandbox, program: str, given: str = "5", components: tuple[str, ...] = GIVEN) -> Task | Refusal:
    kind = task_type("composite")
    text = f"```python\n{program}\n```\n```input\n{given}\n```"
    candidate = kind.parse_proposal(text, Ask(components=components), "full")
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


@pytest.mark.parametrize(
    "program",
    [
        "def f(a):\n    if 0:\n        g_0(a), g_1(a)\n    return a",
        "def f(a):\n    return a if True else g_0(a) + g_1(a)",
        "def f(a):\n    g_1(a)\n    try:\n        g_0(a)\n    except Exception:\n        pass\n    return g_1(a)",
        "g_0(1)\ndef f(a):\n    if 0: g_0(a)\n    return g_1(a)",
        "def f(a):\n    b = g_0(a)\n    return b\n    return g_1(b)",
        "def f(a):\n    b = lambda: g_1(a)\n    return g_0(a)",
    ],
)
def test_a_call_that_is_never_made_is_none(sandbox: Sandbox, program: str) -> None:
    outcome = judged(sandbox, program)
    assert isinstance(outcome, Refusal)
    assert outcome.reason == "component_unused"


def test_what_a_component_brings_besides_its_entry_does_not_count_as_a_call_of_it(sandbox: Sandbox) -> None:
    component = "import math\n\ndef g_0(a):\n    return math.floor(a)"
    idle = judged(sandbox, "def f(a):\n    if 0: g_0(a)\n    return math.ceil(a)", "1.5", (component,))
    assert idle == Refusal("component_unused", "g_0")
    assert isinstance(judged(sandbox, "import math\ndef f(a):\n    return g_0(math.pi * a)", "1.5", (component,)), Task)


@pytest.mark.parametrize("status", ["retry", "crashed"])
def test_a_stumble_at_the_last_look_decides_nothing(sandbox: Sandbox, status: Status) -> None:
    kind = task_type("composite")
    example = kind.example()
    candidate = Candidate(program=example.program, inputs=example.inputs, components=example.components)
    plan = kind.gate(candidate, GateRules())
    jobs = next(plan)
    while not (isinstance(jobs[0], RunJob) and "Replaced" in jobs[0].program):
        jobs = plan.send(tuple(sandbox.run_many(jobs)))
    assert len(jobs) == len(example.components)
    with pytest.raises(StopIteration) as stop:
        plan.send((RunResult((Outcome(status, error="stumbled"),)),))
    assert stop.value.value == Refusal(status, "stumbled")


USES = "    return g_1(g_0(a))"


@pytest.mark.parametrize(
    "program",
    [
        f"def f(a):\n    # g_0 turns it around; g_1 doubles\n{USES}",
        f'def f(a):\n    """First g_0, then g_1."""\n{USES}',
        f"def f(a):\n    b = 'g_0' + b'g_1'.decode()\n{USES}",
        "def f(a):\n    return g_1 (g_0\\\n(a))",
        f"def f(a):\n    b = f'{{a}}'\n{USES}",
    ],
)
def test_what_is_said_of_a_component_is_no_use_of_it(sandbox: Sandbox, program: str) -> None:
    assert isinstance(judged(sandbox, program), Task)


@pytest.mark.parametrize(
    "program",
    [
        # The tokenizer of one Python sees a comment where that of another sees code: then the text is looked at.
        f"def f(a):\n    b = f\"{{'#'}}\"; h = g_0\n{USES}",
        f'def f(a):\n    b = f"{{"#"}}"; h = g_0\n{USES}',
        f"def f(a):\n    b = f'{{(h := g_0)}}'\n{USES}",
        f"def f(a):\n    b = rF'{{(h := g_0)}}'\n{USES}",
        f'def f(a):\n    b = t"{{"#"}}"; h = g_0\n{USES}',
        f"def f(a):\n    # what?\r    h = g_0\n{USES}",
        f"def f(a):\n    h = g＿0\n{USES}",
        f"def f(a):\n    h = 𝐠_𝟎\n{USES}",
        f"def f(a):\n    h = ($, g_0)\n{USES}",
        f"def f(a):\n    h = (g_0\n{USES}",
        f"def f(a):\n    del g_0\n{USES}",
        f"def f(a):\n    h = g_0 # (a)\n{USES}",
        f"def f(a):\n    h = g_0\n    (a)\n{USES}",
    ],
)
def test_a_use_is_found_wherever_it_hides(sandbox: Sandbox, program: str) -> None:
    outcome = judged(sandbox, program)
    assert isinstance(outcome, Refusal)
    assert outcome.reason == "component_misused"


@pytest.mark.parametrize(
    ("own", "why"),
    [
        ("h = abs", "component_redefined"),
        ("def h(a): return 0", "component_redefined"),
        ("abs = int", "component_redefined"),
        ("import math as h", "component_redefined"),
        ("if True:\n    h = abs", "component_redefined"),
        ("import re\nk = abs", ""),
        ("def k(a):\n    h = a\n    return h", ""),
    ],
)
def test_what_a_component_is_made_of_may_not_be_replaced_either(sandbox: Sandbox, own: str, why: str) -> None:
    component = "import re\n\ndef h(a):\n    return abs(a) + 1\n\ndef g_0(a):\n    return h(a)"
    outcome = judged(sandbox, f"{own}\n\ndef f(a):\n    return g_0(a)", "-5", (component,))
    assert (outcome.reason if isinstance(outcome, Refusal) else "") == why


def test_components_that_replace_each_others_helpers_are_refused_wherever_they_come_from(sandbox: Sandbox) -> None:
    given = tuple(f"def h(a): return a\ndef g_{number}(a): return h(a)" for number in range(2))
    outcome = judged(sandbox, "def f(a):\n    return g_0(g_1(a))", "1", given)
    assert outcome == Refusal("component_redefined", "h")


def test_a_text_that_no_guest_need_see_is_not_looked_into(sandbox: Sandbox) -> None:
    outcome = judged(sandbox, "def f(a):\n    return g_0(g_1(a))\n" + "#" * MAX_TEXT)
    assert isinstance(outcome, Refusal)
    assert outcome.reason == "too_long"


def test_a_component_cannot_leave_the_fence_in_which_it_is_shown() -> None:
    component = 'def g_0(a):\n    """\n    ```\n    """\n    return a'
    prompt = task_type("composite").propose_prompt(Ask(components=(component,)), "full")
    assert f"\n\n````python\n{component}\n````\n\nRules" in prompt


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
