"""Whatever a model writes: parsers and the gate answer, and never raise.

Responses are taken apart and put together again with a seeded generator, so that a failure repeats by its number.
"""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as some

from azr.game import frames, tasks
from azr.game.frames import Frame
from azr.game.gate import GateRules
from azr.game.plan import drive
from azr.game.play import judge_attempt, judge_proposal
from azr.game.reasons import MEANINGS, ParseReason
from azr.game.tasks import Ask
from azr.game.types import Candidate, Refusal, Task
from azr.game.verification import VerifyRules
from sandbox_wasm.protocol import FUEL_PER_SECOND, Limits, Sandbox

PARSE_REASONS = frozenset(get_args(ParseReason))

#: Pieces of which responses are made, well-formed ones among them.
PIECES = (
    *(
        "<think>",
        "</think>",
        "<answer>",
        "</answer>",
        "<input>",
        "</input>",
        "<message>",
        "</message>",
        "}",
    ),
    *("```", "```python\n", "```input\n", "```output\n", "```message\n", "```json\n", "\n```\n", "````", "`", "~~~"),
    *(
        "def f(a):\n    return a\n",
        "def f(a)",
        "def g(x): pass\n",
        "lambda: 0",
        "import os\n",
        "g_0(a)",
        "g_0 = 1",
        "class A:\n",
    ),
    *(
        "# Input: 1\n",
        "Input 3:",
        "**Output:**",
        "Message: use it\n",
        "The input is 3",
        "f(1, 2)",
        "1) or (True",
        "'a', 2",
    ),
    *(
        "#i 1\n",
        "#i\n",
        "#o 2\n",
        "#m words\n",
        "#d\n",
        "#",
        "\n",
        "\n\n",
        " ",
        "\t",
        "\r\n",
        "\r",
        "\0",
        "\x85",
        "\u2028",
    ),
    *(
        "[1, 2]",
        "{'a': nan}",
        "'",
        '"',
        "'''",
        "\\",
        "é",
        "\u202e",
        "\ud800",
        "🐍",
        "ValueError",
        "NoError: x",
        "return x + 1",
    ),
)

COMPONENTS = ("def g_0(a):\n    return a",)
FRAMES = tuple(frames.frame(name, chat_template=lambda messages: "") for name in frames.names())


def response(random: np.random.Generator) -> str:
    """A response put together from pieces, and then perhaps damaged."""
    text = "".join(PIECES[piece] for piece in random.integers(0, len(PIECES), size=int(random.integers(0, 25))))
    for _ in range(int(random.integers(0, 4))):
        start, length = int(random.integers(0, len(text) + 1)), int(random.integers(0, 12))
        match random.integers(0, 4):
            case 0:
                text = text[:start] + text[start + length :]
            case 1:
                text = text[:start] + text[start : start + length] * 2 + text[start:]
            case 2:
                text = text[:start] + chr(int(random.integers(0, 0x11000))) + text[start:]
            case _:
                text = text[:start]
    return text


def ask(name: str) -> Ask:
    return Ask(references=(tasks.task_type(name).example(),), components=COMPONENTS, inputs=2)


ASKS = {name: ask(name) for name in tasks.names()}


def read_by_all(text: str, frame: Frame) -> int:
    """Read a response in one frame by every task type; returns how many candidates there were."""
    answer = frame.extract(text)
    if isinstance(answer, Refusal):
        assert answer.reason in PARSE_REASONS
        return 0
    candidates = 0
    for name, asked in ASKS.items():
        kind = tasks.task_type(name)
        candidate = kind.parse_proposal(answer, asked, frame.style)
        if isinstance(candidate, Candidate):
            assert candidate.program.strip()
            assert all(isinstance(given, str) for given in candidate.inputs)
            candidates += 1
        else:
            assert candidate.reason in PARSE_REASONS
            assert candidate.detail.isprintable()
        said = kind.parse_answer(answer, frame.style)
        if isinstance(said, Refusal):
            assert said.reason in PARSE_REASONS
        else:
            assert said or "f(" in answer, "only a call without arguments, f(), says nothing and is an answer"
    return candidates


def fuzz(count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    candidates = sum(read_by_all(response(random), FRAMES[number % len(FRAMES)]) for number in range(count))
    assert candidates > count // 50  # the pieces make candidates, too


def test_thousands_of_random_and_mutated_responses_are_read_without_a_raise() -> None:
    fuzz(5_000, seed=1)


@pytest.mark.soak
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("seed", range(10))
def test_a_million_random_and_mutated_responses_are_read_without_a_raise(seed: int) -> None:
    fuzz(100_000, seed=100 + seed)


@given(some.text(max_size=300))
@example("\ud800")
@example("```input\n```")
def test_any_text_at_all_is_read_without_a_raise(text: str) -> None:
    for frame in FRAMES:
        read_by_all(text, frame)


TINY = Limits(fuel=FUEL_PER_SECOND // 20, wall_seconds=2.0)
NO_FIXTURE_CHECK = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]

_LINES = some.sampled_from(
    [
        *(
            "def f(a):",
            "    return a",
            "    return f(a)",
            "  return a",
            "\treturn a",
            "def f(a, *b, **c): return b",
            "import os",
        ),
        *(
            "x = 1",
            "class f: pass",
            "f = len",
            "f = lambda a: a",
            "async def f(a): return a",
            "    yield a",
            "@property",
            "\0",
        ),
        *(
            "    while a: pass",
            "    del a",
            "    global f",
            "from x import *",
            "é = 1",
            "\ud800",
            "    " * 200 + "x",
            "(" * 300,
        ),
    ]
)
PROGRAMS = some.one_of(some.text(max_size=60), some.lists(_LINES, max_size=6).map("\n".join))
INPUTS = some.one_of(
    some.text(max_size=30), some.sampled_from(["1", "'a'", "[1, 2], {3}", "a=1", "nan", "", "*[1]", "1e999"])
)


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=NO_FIXTURE_CHECK)
@given(name=some.sampled_from(tasks.names()), program=PROGRAMS, given=some.lists(INPUTS, min_size=2, max_size=2))
def test_the_gate_answers_any_program_and_any_input(
    sandbox: Sandbox, name: str, program: str, given: list[str]
) -> None:
    inputs = tuple(given) if name == "induction" else tuple(given[:1])
    candidate = Candidate(program=program, inputs=inputs, message="words", components=())
    rules = GateRules(limits=TINY, induction_inputs=2, induction_shown=1)
    outcome = drive(tasks.task_type(name).gate(candidate, rules), sandbox)
    assert isinstance(outcome, Task) or outcome.reason in MEANINGS


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=NO_FIXTURE_CHECK)
@given(
    name=some.sampled_from(tasks.names()), frame=some.sampled_from(FRAMES), pieces=some.lists(some.sampled_from(PIECES))
)
def test_any_response_is_judged(sandbox: Sandbox, name: str, frame: Frame, pieces: list[str]) -> None:
    kind, text = tasks.task_type(name), "".join(pieces)
    verdict = drive(judge_attempt(kind, kind.example(), text, frame, VerifyRules(limits=TINY)), sandbox)
    assert verdict.reason.removeprefix("malformed:") in MEANINGS
    outcome = drive(judge_proposal(kind, text, ASKS[name], frame, GateRules(limits=TINY)), sandbox)
    assert isinstance(outcome, Task) or outcome.reason in MEANINGS
