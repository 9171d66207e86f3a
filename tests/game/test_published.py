"""Published seed files: put together, judged like anything else, and not believed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from azr.game.gate import GateRules
from azr.game.plan import drive
from azr.game.published import Imported, PublishedSeed, assembled, bring_in
from azr.game.types import Refusal, Task
from sandbox_wasm.protocol import Sandbox


def imported(sandbox: Sandbox, **line: Any) -> Imported:
    return drive(bring_in(PublishedSeed(**line), GateRules()), sandbox)


def test_imports_go_back_before_the_snippet_in_their_order_and_once() -> None:
    assert assembled([], "x") == "x"
    assert assembled(["import b", "import a", "import b", " "], "x") == "import b\nimport a\nx"
    assert assembled(["import a", "import b"], "import a\nx") == "import b\nimport a\nx"


def test_a_triplet_comes_in_as_deduction(sandbox: Sandbox) -> None:
    line = {
        "snippet": "def f(a):\n    return sqrt(a)",
        "input": "9",
        "output": "3.0",
        "imports": ["from math import sqrt"],
    }
    result = imported(sandbox, **line)
    assert isinstance(result.outcome, Task)
    assert not result.corrected
    assert result.outcome.task_type == "deduction"
    assert result.outcome.program == "from math import sqrt\ndef f(a):\n    return sqrt(a)"


@pytest.mark.parametrize(
    ("stated", "corrected"),
    [
        ("{3, 1, 2}", False),
        ("{1, 2, 3.0}", False),
        ("{1, 2}", True),
        ("", True),
        ("'{1, 2...3}'", True),
        ("\ud800", True),
    ],
)
def test_outputs_are_computed_and_a_false_one_is_noticed(sandbox: Sandbox, stated: str, corrected: bool) -> None:
    result = imported(sandbox, snippet="def f(*a):\n    return set(a)", input="1, 2, 3", output=stated)
    assert isinstance(result.outcome, Task)
    assert result.outcome.outputs == ("{1, 2, 3}",)
    assert result.corrected is corrected


def test_a_line_that_states_no_output_is_not_corrected(sandbox: Sandbox) -> None:
    """What `azr seed import` tells of lines with another output than stated is of files that state some."""
    triplet = imported(sandbox, snippet="def f(a):\n    return a", input="1")
    inputs = [str(number) for number in range(10)]
    whole = imported(sandbox, snippet="def f(a):\n    return a % 3", inputs=inputs, message="Remainders.")
    for result in (triplet, whole):
        assert isinstance(result.outcome, Task)
        assert not result.corrected


def test_an_induction_task_comes_in_whole(sandbox: Sandbox) -> None:
    inputs = [str(number) for number in range(10)]
    outputs = [str(number % 3) for number in range(10)]
    line = {"snippet": "def f(a):\n    return a % 3", "inputs": inputs, "outputs": outputs, "message": "Remainders."}
    result = imported(sandbox, **line)
    assert isinstance(result.outcome, Task)
    assert (result.outcome.task_type, result.corrected) == ("induction", False)
    assert imported(sandbox, **{**line, "outputs": outputs[:-1]}).corrected
    assert imported(sandbox, **{**line, "inputs": inputs[:6]}).outcome == Refusal("input_count", "6 inputs, not 10")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"snippet": "def f(a):\n    return secrets.randbelow(9)", "imports": ["import secrets"]}, "banned"),
        ({"snippet": "def f(a):\n    return (x for x in 'a')"}, "opaque"),
        ({"snippet": "def g(a):\n    return a"}, "no_entry"),
        ({"snippet": "def f(a):\n    raise StopIteration"}, "error"),
    ],
)
def test_what_the_published_gate_let_in_is_refused_here(sandbox: Sandbox, line: dict[str, Any], reason: str) -> None:
    refused = imported(sandbox, **line, input="1", output="").outcome
    assert isinstance(refused, Refusal)
    assert refused.reason == reason


@pytest.mark.parametrize(
    "text",
    [
        '{"snippet": "x"}',
        '{"snippet": "x", "input": "1", "inputs": ["1"]}',
        '{"input": "1"}',
        "[]",
        "{}",
        '{"snippet": 1}',
    ],
)
def test_a_line_that_is_no_seed_is_refused_when_it_is_read(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=PublishedSeed)


def test_fields_of_other_tools_are_passed_over() -> None:
    line = '{"snippet": "x", "input": "1", "original_snippet": "y", "composite_functions": [], "imports": null}'
    assert msgspec.json.decode(line, type=PublishedSeed).candidate.program == "x"
