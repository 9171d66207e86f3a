"""What went wrong in the published system's gate and verifier, and cannot here. Each test names what it rules out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from azr.game.banned import Banned
from azr.game.frames import frame
from azr.game.gate import GateRules, Probe
from azr.game.plan import drive
from azr.game.play import judge_proposal
from azr.game.published import assembled
from azr.game.tasks import Ask, names, task_type
from azr.game.types import Cell, Refusal, Task, Verdict
from sandbox_wasm.protocol import Sandbox
from tests.game.conftest import task

Gate = Callable[..., Task | Refusal]
Reason = Callable[..., str]
Verify = Callable[..., Verdict]


@pytest.mark.parametrize(
    "program",
    [
        "import secrets\ndef f(a):\n    return secrets.randbelow(10**9)",
        "def f(a):\n    return __import__('random').random()",
        "def f(a):\n    yield a",
        "def f(a):\n    raise StopIteration",
        "class Quiet(BaseException): pass\ndef f(a):\n    raise Quiet('unlike the others in name')",
        "def f(a):\n    raise SystemExit",
        "def f(a):\n    return next(iter(a))",
    ],
)
def test_an_exception_of_any_name_and_a_changing_value_are_never_accepted_with_an_empty_output(
    gate: Gate, program: str
) -> None:
    """Accepted if the last traceback line lacked the letters `error`, which their own complaint did too."""
    outcome = gate("deduction", program, "''")
    assert isinstance(outcome, Refusal)


def test_nan_is_accepted_and_equal_to_itself(gate: Gate, verify: Verify) -> None:
    """nan != nan made such programs non-deterministic, and so, by the same defect, accepted without an output."""
    accepted = gate("deduction", "def f(a):\n    return [a * float('nan'), 1]", "2")
    assert isinstance(accepted, Task)
    assert verify(accepted, accepted.outputs[0]).correct


@pytest.mark.parametrize("length", [401, 1_999, 2_001, 60_000, 100_000])
def test_a_long_output_is_whole_or_refused_but_never_cut(gate: Gate, verify: Verify, length: int) -> None:
    """A cut at 400 characters made tasks that nobody can solve, and stored them."""
    outcome = gate("deduction", f"def f(a):\n    return a * {length - 2}", "'x'")
    if isinstance(outcome, Refusal):
        assert length > 2_000
        assert outcome.reason in ("output_too_long", "opaque")
    else:
        assert len(outcome.outputs[0]) == length
        assert verify(outcome, outcome.outputs[0]).correct


@pytest.mark.parametrize(
    "answer",
    [
        "0) == 0 or (True",
        "0), f(0",
        "type('Y', (), {'__eq__': lambda s, o: True})()",
        "__import__('builtins')",
        "(lambda: [None])()",
        "[].__class__",
        "f'{1}'",
        "'a' if 1 else 'b'",
        "(y := 4)",
        "True or 1",
        "not 0",
        "4 == 4",
    ],
)
@pytest.mark.parametrize("kind", ["deduction", "abduction"])
def test_no_answer_is_evaluated(verify: Verify, kind: str, answer: str) -> None:
    """Answers were pasted into code and evaluated, in the trainer's own process where deduction was concerned."""
    verdict = verify(task(kind, "def f(a):\n    return a", {"True": "True"}), answer)
    assert not verdict.correct
    assert not verdict.well_formed


@pytest.mark.parametrize(
    ("expected", "answer"),
    [("'1'", "'1 '"), ("' 7 '", "'     7     '"), ("'1'", "1"), ("'[1]'", "[1]"), ("'1.0'", "'1'"), ("'True'", "True")],
)
def test_strings_are_not_read_a_second_time(verify: Verify, expected: str, answer: str) -> None:
    """A fallback evaluated the values of strings once more and found `'1'` and `'1 '` equal."""
    assert verify(task("deduction", "", {"": expected}), answer).reason == "wrong"


def test_programs_of_several_functions_and_classes_are_welcome(sandbox: Sandbox) -> None:
    """The prompt invited classes and helpers; the parser refused more than one `def` of any kind."""
    response = """I keep a counter and count down. </think> <answer>
First, the input:
```input
'level', 3
```
Some thoughts in a bare fence:
```
def f: pseudo-code, repeat until done
```
And the program:
```python
import string

class Counter:
    def __init__(self, start):
        self.start = start

    def spend(self):
        self.start -= 1
        return self.start

def rotate(text, by):
    def inner(letter):
        return string.ascii_lowercase[(string.ascii_lowercase.index(letter) + by) % 26]
    return ''.join(map(inner, text))

def f(text, turns):
    counter = Counter(turns)
    while (left := counter.spend()) > 0:
        text = rotate(text, left)
    return text
```
</answer>"""
    plan = judge_proposal(task_type("deduction"), response, Ask(), frame("r1"), GateRules())
    accepted = drive(plan, sandbox)
    assert isinstance(accepted, Task), accepted
    assert accepted.outputs == ("'ohyho'",)


def test_each_propose_prompt_asks_for_its_own_difficulty() -> None:
    """The criteria of the two prompts were swapped."""
    full = {name: task_type(name).propose_prompt(_ask(name), "full") for name in names()}
    assert "predict the output" in full["deduction"]
    assert "find an input" not in full["deduction"]
    assert "find an input" in full["abduction"]
    assert "predict the output" not in full["abduction"]
    compact = {name: task_type(name).propose_prompt(_ask(name), "compact") for name in names()}
    assert len(set(compact.values())) == len(compact)


def test_error_prediction_plays_from_proposal_to_verdict(gate: Gate, verify: Verify) -> None:
    """Their error task could not run at all: a statistic asked for a field that its records lack."""
    accepted = gate("error", "def f(a):\n    return {1: 2}[a]", "3")
    assert isinstance(accepted, Task)
    assert accepted.outputs == ("KeyError",)
    assert verify(accepted, "KeyError: 3").correct


def test_error_tasks_refuse_what_differs_in_either_ending_or_value(reason: Reason) -> None:
    """Their check asked for a difference in status AND output, where either is enough."""
    free = Banned(modules={}, builtins={}, attributes={})
    chance = "import random\ndef f(a):\n    {}"
    assert reason("error", chance.format("return random.random()"), "1", banned=free) == "nondeterministic"
    either = "if random.random() < 0.9: raise ValueError\n    raise (KeyError if random.random() < 0.5 else TypeError)"
    probes = tuple(Probe(0, seed, 0.0) for seed in range(12))
    assert reason("error", chance.format(either), "1", banned=free, probes=probes) == "nondeterministic"


def test_imports_keep_their_order() -> None:
    """Imports went through a set, so that a program's text differed from run to run."""
    lines = [f"import module_{number}" for number in range(30)]
    for _ in range(3):
        assert assembled([*lines, lines[0]], "def f(a):\n    return a") == "\n".join(
            [*lines, "def f(a):\n    return a"]
        )


def _ask(name: str) -> Ask:
    example = task_type(name).example()
    assert Cell(name, "propose").task == name
    return Ask(references=(example,), components=example.components)
