"""The gate: every rule refuses what it is there for, with its word, and lets the honest neighbour through."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from azr.game.banned import Banned
from azr.game.gate import MAX_TEXT, PROBES, GateRules, Probe, examine, limits_of_probe
from azr.game.plan import Plan
from azr.game.tasks import task_type
from azr.game.types import Candidate, Refusal, Task
from sandbox_wasm.protocol import (
    Facts,
    InspectResult,
    JobResult,
    Limits,
    LiteralResult,
    Outcome,
    RunResult,
    Sandbox,
    Value,
)
from tests.game.conftest import BRIEF

Gate = Callable[..., Task | Refusal]
Reason = Callable[..., str]


def test_an_accepted_task_carries_canonical_inputs_and_outputs(gate: Gate) -> None:
    accepted = gate("deduction", "def f(a, b):\n    return {b, a}, a", '"x"  ,\n b = 2')
    assert isinstance(accepted, Task)
    assert accepted.inputs == ("'x', 2",)
    assert accepted.outputs == ("({'x', 2}, 'x')",)
    assert accepted.output_keys
    assert accepted.task_type == "deduction"
    assert accepted.id == f"deduction-{accepted.fingerprint}"


def test_names_are_in_order_where_nobody_knows_what_is_called(gate: Gate) -> None:
    """Each order would be another task."""
    program = "def same(g):\n    return g\n\n@same\ndef f(a, b):\n    return a - b"
    for spelling in ("b=1, a=2", "a=2, b=1"):
        accepted = gate("deduction", program, spelling)
        assert isinstance(accepted, Task)
        assert accepted.inputs == ("a=2, b=1",)


def test_one_input_in_several_spellings_is_one_task(gate: Gate) -> None:
    program = "def f(a, b=2):\n    f = [a] * b\n    return f"
    marks = set()
    for spelling in ("1", "a=1", "1, 2", "b=2, a=1", "1 , b = 2"):
        accepted = gate("deduction", program, spelling)
        assert isinstance(accepted, Task)
        assert accepted.inputs == ("1, 2",)
        marks.add(accepted.fingerprint)
    assert len(marks) == 1
    other = gate("deduction", program, "1, 3")
    assert isinstance(other, Task)
    assert other.fingerprint not in marks


def test_a_hidden_input_is_shown_under_whatever_spelling(gate: Gate, reason: Reason) -> None:
    rules: dict[str, int] = {"induction_inputs": 4, "induction_shown": 2}
    program = "def f(a, *, b=0):\n    return a + b"
    for hidden in ("a=2", "2, b=0", "b=0, a=2"):
        why = reason("induction", program, "1", "2", "3", hidden, message="added up", **rules)
        assert why == "hidden_input_shown", hidden


def test_a_call_that_does_not_bind_is_left_for_the_run_to_tell(gate: Gate, reason: Reason) -> None:
    accepted = gate("error", "def f(a, b=2):\n    return a", "c=1")
    assert isinstance(accepted, Task)
    assert (accepted.inputs, accepted.outputs) == (("c=1",), ("TypeError",))
    assert reason("deduction", "def f(a, b=2):\n    return a", "1, 2, 3") == "error"


def test_inputs_are_read_twice_only_where_something_is_named_or_left_to_a_default() -> None:
    told = (("a, b", "1, 2", 1), ("a, b=2", "1", 2), ("a, b", "1, b=2", 2), ("", "1", 1), ("", "a=1", 2))
    for signature, literal, rounds in told:
        plan = examine("def f(a): return a", (literal,), GateRules())
        facts = Facts(1, (), (), ("f",), (), (), "digest", (), 1, 1, 1, 0.0, 0.0, signature)
        read = LiteralResult((Outcome("ok", Value(literal, literal, literal)),))
        asked = [next(plan)]
        with pytest.raises(StopIteration):
            asked.append(plan.send((InspectResult(facts), read)))
            plan.send((read,))
        assert len(asked) == rounds, signature


def test_a_value_as_long_as_the_rules_allow_comes_back_as_it_is(reason: Reason) -> None:
    rules = {"limits": msgspec.structs.replace(BRIEF, output_bytes=128 << 10), "max_output_length": 1 << 20}
    assert reason("deduction", "def f(a):\n    return 'x' * a", "100_000", **rules) == "accepted"


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("def f(a:\n    return a", "syntax"),
        ("def g(a):\n    return a", "no_entry"),
        ("x = 1", "no_entry"),
        ("", "no_entry"),
        ("def f(a):\n    return '\0'", "null_byte"),
        ("def f(a):\n    return '\ud800'", "surrogate"),
        ("def f(a):\n    return " + "(" * 5_000 + "a" + ")" * 5_000, "too_deep"),
        ("def f(a):\n    return a\n" + "#" * MAX_TEXT, "too_long"),
        ("def f():\n    return 1", "no_parameters"),
    ],
)
def test_what_is_no_program_with_an_entry_is_refused_before_it_runs(reason: Reason, program: str, why: str) -> None:
    assert reason("deduction", program, "1") == why


@pytest.mark.parametrize("kind", ["deduction", "abduction", "induction", "error", "composite"])
def test_a_proposal_without_an_input_is_refused_whatever_was_asked_for(reason: Reason, kind: str) -> None:
    why = reason(kind, "def f(a):\n    return a", message="the same", induction_inputs=0, induction_shown=0)
    assert why in ("no_input", "no_component")


@pytest.mark.parametrize(
    "program",
    [
        "import os\ndef f(a):\n    return os.getpid()",
        "import os.path\ndef f(a):\n    return 1",
        "import os as o\ndef f(a):\n    return o.sep",
        "from os import path\ndef f(a):\n    return 1",
        "from os.path import join\ndef f(a):\n    return 1",
        "import sys\ndef f(a):\n    return sys.maxsize",
        "import random\ndef f(a):\n    return random.random()",
        "import secrets\ndef f(a):\n    return secrets.randbelow(a)",
        "import socket, subprocess, threading\ndef f(a):\n    return 1",
        "import time\ndef f(a):\n    return 1",
        "from datetime import datetime\ndef f(a):\n    return datetime.now().year",
        "import uuid\ndef f(a):\n    return 1",
        "import ctypes\ndef f(a):\n    return 1",
        "def f(a):\n    import importlib\n    return 1",
        "def f(a):\n    return __import__('random').random()",
        "def f(a):\n    return eval('a')",
        "def f(a):\n    exec('b = 1')\n    return a",
        "def f(a):\n    return compile('1', '', 'eval') and 1",
        "def f(a):\n    return open('/etc/passwd').read()",
        "def f(a):\n    return globals()['f'] and 1",
        "def f(a):\n    try:\n        return f(a)\n    except RecursionError:\n        return a",
        "def f(a):\n    try:\n        return bytearray(10**9)\n    except MemoryError:\n        return a",
        "def f(a):\n    return id(a)",
        "def f(a):\n    return hash(a)",
        "def f(a):\n    return ().__class__.__base__.__subclasses__()[0] and 1",
        "def f(a):\n    return f.__globals__ and 1",
        "import statistics\ndef f(a):\n    return statistics.random.random()",
        "from statistics import random\ndef f(a):\n    return 1",
    ],
)
def test_banned_modules_and_names_are_refused_however_they_are_reached(reason: Reason, program: str) -> None:
    assert reason("deduction", program, "1") == "banned"


@pytest.mark.parametrize(
    "program",
    [
        "import re\ndef f(a):\n    return re.compile('a').findall(a)",
        "import math, collections, itertools, functools\ndef f(a):\n    return math.floor(2.5)",
        "class Box:\n    def __init__(self, a):\n        self.id = self.open = a\n\ndef f(a):\n    return Box(a).open",
        "def f(a):\n    def inner(b):\n        return lambda c: c + b\n    return inner('x')(a)",
        "def helper(a):\n    return a * 2\n\ndef f(a):\n    return helper(a)",
    ],
)
def test_honest_programs_with_helpers_classes_and_regular_expressions_pass(reason: Reason, program: str) -> None:
    assert reason("deduction", program, "'a'") == "accepted"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("return 1 / 0", "error"),
        ("raise StopIteration", "error"),
        ("raise SystemExit(0)", "error"),
        ("import enum\n    getattr(enum, 'sys').modules['os']._exit(0)", "error"),
        ("raise KeyboardInterrupt", "error"),
        ("class Odd(BaseException): pass\n    raise Odd('no word of it here')", "error"),
        ("return f(a)", "error"),
        ("return (x for x in a)", "opaque"),
        ("return object()", "opaque"),
        ("return f", "opaque"),
        ("return len", "opaque"),
        ("x = []\n    x.append(x)\n    return x", "opaque"),
        ("class Sly(int): pass\n    return Sly(3)", "opaque"),
        ("return 'x' * 10**6", "opaque"),
        ("return 'x' * 3000", "output_too_long"),
    ],
)
def test_a_run_that_gives_no_usable_value_is_refused(reason: Reason, body: str, why: str) -> None:
    assert reason("deduction", f"def f(a):\n    {body}", "'a'") == why


def test_an_endless_loop_is_a_timeout_and_never_a_verdict_of_the_wall_clock(reason: Reason) -> None:
    assert reason("deduction", "def f(a):\n    while True:\n        pass", "1") == "timeout"


def test_a_memory_bomb_is_refused_as_memory(reason: Reason) -> None:
    assert reason("deduction", "def f(a):\n    return len(bytearray(10**9))", "1") == "memory"


@pytest.mark.parametrize(
    "given",
    ["x", "open('x')", "1) or (True", "1 if True else 2", "[i for i in (1, 2)]", "*[1]", "1; 2", "(", "lambda: 1"],
)
def test_inputs_are_data_and_nothing_else(reason: Reason, given: str) -> None:
    assert reason("deduction", "def f(*a):\n    return a", given) == "input_not_literal"


def test_an_input_that_does_not_bind_to_the_parameters_ends_in_an_error(reason: Reason) -> None:
    assert reason("deduction", "def f(a, b):\n    return a", "1") == "error"


@pytest.mark.parametrize(
    "program",
    [
        "def f(a):\n    return ''.join({'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight'})",
        "def f(a):\n    return list(map(str, {'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight'}))",
        "import numbers\nfrom tempfile import _RandomNameSequence as r\ndef f(a):\n    return next(r())",
        "import difflib\ndef f(a):\n    return [k for k in {w: 1 for w in {'p', 'q', 'r', 's', 't', 'u', 'v'}}]",
    ],
)
def test_dependence_on_hash_order_and_chance_shows_between_probes(reason: Reason, program: str) -> None:
    assert reason("deduction", program, "1") in ("nondeterministic", "banned")


def test_clocks_and_chance_are_caught_even_where_their_names_are_allowed(reason: Reason) -> None:
    free = Banned(modules={}, builtins={}, attributes={})
    assert (
        reason("deduction", "import random\ndef f(a):\n    return random.random()", "1", banned=free)
        == "nondeterministic"
    )
    assert reason("deduction", "import time\ndef f(a):\n    return time.time()", "1", banned=free) == "nondeterministic"
    now = "import datetime\ndef f(a):\n    return datetime.datetime.now().{part}"
    for part in ("year", "month", "day", "hour", "minute", "second"):
        assert reason("deduction", now.format(part=part), "1", banned=free) == "nondeterministic", part
    imported = "def f(a):\n    return __import__('random').random()"
    assert reason("deduction", imported, "1", banned=free) == "nondeterministic"
    assert reason("deduction", "def f(a):\n    return hash('a')", "1", banned=free) == "nondeterministic"


def test_an_ending_that_depends_on_chance_is_nondeterministic_whatever_it_is(reason: Reason) -> None:
    program = "import random\ndef f(a):\n    if random.random() < 0.5: raise ValueError\n    return 1"
    probes = tuple(Probe(0, seed, 0.0) for seed in range(8))
    assert reason("deduction", program, "1", banned=Banned(modules={}), probes=probes) == "nondeterministic"


@pytest.mark.parametrize("kind", ["deduction", "error"])
@pytest.mark.parametrize(
    "program",
    [
        "def f(a):\n    try:\n        return f(a + 1)\n    except RecursionError:\n        return a",
        "def f(a):\n    try:\n        return f(a + 1)\n    except Exception:\n        return a",
        "def f(a):\n    g = lambda n: n and g(n - 1)\n    g(350)\n    return a",
    ],
)
def test_dependence_on_how_deep_a_call_may_go_shows_between_probes(reason: Reason, kind: str, program: str) -> None:
    free = Banned(modules={}, builtins={}, attributes={})
    assert reason(kind, program, "1", banned=free) == "nondeterministic"


def test_calls_that_go_as_deep_as_the_last_probe_allows_are_welcome(reason: Reason) -> None:
    program = "def f(a):\n    g = lambda n: n and g(n - 1)\n    g({depth})\n    return a"
    deepest = limits_of_probe(1, Limits()).recursion
    assert reason("deduction", program.format(depth=deepest - 5), "1") == "accepted"
    assert reason("deduction", program.format(depth=deepest + 5), "1") == "nondeterministic"


def test_later_probes_get_less_of_what_a_program_must_not_depend_on() -> None:
    limits = Limits()
    assert limits_of_probe(0, limits) == limits
    for number in (1, 2):
        less = limits_of_probe(number, limits)
        assert msgspec.structs.replace(limits, recursion=300, memory_bytes=128 << 20) == less


def test_the_type_of_an_output_is_what_is_read_where_no_program_ran(sandbox: Sandbox) -> None:
    plan = task_type("deduction").gate(Candidate(program="def f(a): return a", inputs=("1",)), GateRules())
    jobs = next(plan)
    with pytest.raises(StopIteration) as stop:
        while True:
            results = tuple(sandbox.run_many(jobs))
            jobs = plan.send(tuple(forged(result) if isinstance(result, RunResult) else result for result in results))
    assert isinstance(stop.value.value, Task)
    assert stop.value.value.output_types == ("int",)


def forged(result: RunResult) -> RunResult:
    """What a guest says that the program has taken over: all in order but the type."""
    (outcome,) = result.outcomes
    assert outcome.value is not None
    value = msgspec.structs.replace(outcome.value, type_name="Wonder")
    return RunResult((msgspec.structs.replace(outcome, value=value),))


def test_sets_are_welcome_because_their_order_is_made_canonical(gate: Gate) -> None:
    accepted = gate("deduction", "def f(a):\n    return set(a)", "'hello'")
    assert isinstance(accepted, Task)
    assert accepted.outputs == ("{'e', 'h', 'l', 'o'}",)


def test_probes_differ_in_all_that_a_program_could_draw_on() -> None:
    for name in ("snapshot", "random_seed", "clock"):
        assert len({getattr(probe, name) for probe in PROBES}) == len(PROBES)


def test_state_kept_between_calls_does_not_exist(gate: Gate) -> None:
    program = "def f(a):\n    f.calls = getattr(f, 'calls', 0) + 1\n    return f.calls"
    accepted = gate("deduction", program, "1")
    assert isinstance(accepted, Task)
    assert accepted.outputs == ("1",)


@pytest.mark.parametrize(
    "value",
    ["float('nan')", "-0.0", "float('inf')", "b'\\x00\\xff'", "frozenset({1})", "set()", "1e308 * 10", "10**30", "1j"],
)
def test_odd_values_survive_the_round_trip_through_their_literal_form(reason: Reason, value: str) -> None:
    assert reason("deduction", f"def f(a):\n    return [{value}]", "1") == "accepted"


def test_length_is_counted_as_the_solver_counts_and_never_cut(gate: Gate) -> None:
    program = "def f(a):\n    return a * 3"
    words = lambda text: len(text.split())  # noqa: E731
    accepted = gate("deduction", program, "'a b c '", length=words, max_output_length=10)
    assert isinstance(accepted, Task)
    assert accepted.outputs == ("'a b c a b c a b c '",)
    refused = gate("deduction", program, "'a b c '", length=words, max_output_length=9)
    assert refused == Refusal("output_too_long", "10, at most 9")


def test_a_task_whose_prompt_the_solver_cannot_be_shown_is_refused(gate: Gate) -> None:
    kind = task_type("deduction")
    measure = lambda task: len(kind.solve_prompt(task, "compact"))  # noqa: E731
    assert isinstance(
        gate("deduction", "def f(a):\n    return a", "1", prompt_length=measure, max_prompt_length=80), Task
    )
    refused = gate("deduction", "def f(a):\n    return a", f"'{'x' * 80}'", prompt_length=measure, max_prompt_length=80)
    assert isinstance(refused, Refusal)
    assert refused.reason == "prompt_too_long"


@pytest.mark.parametrize(
    ("kind", "program", "inputs", "message"),
    [
        ("deduction", "def f(a):\n    return a  # <|end|>", ("1",), ""),
        ("abduction", "def f(a):\n    return len(a)", ("'<|end|>'",), ""),
        ("deduction", "def f(a):\n    return '<|' + a + '|>'", ("'end'",), ""),
        ("induction", "def f(a):\n    return a + 1", tuple(map(str, range(10))), "one more <|end|>"),
    ],
)
def test_what_a_tokenizer_would_make_a_control_token_of_is_refused_wherever_it_stands(
    gate: Gate, reason: Reason, kind: str, program: str, inputs: tuple[str, ...], message: str
) -> None:
    refused = gate(kind, program, *inputs, message=message, control_texts=("<|start|>", "<|end|>"))
    assert refused == Refusal("control_token", "<|end|>")
    assert reason(kind, program, *inputs, message=message) == "accepted", "no tokenizer, no such texts"


def test_duplicates_are_found_behind_other_names_comments_and_layout(gate: Gate, reason: Reason) -> None:
    first = gate("deduction", "def f(a, b):\n    total = a + b\n    return total", "1, 2")
    assert isinstance(first, Task)
    known = {first.fingerprint}.__contains__
    twin = "def f(x, y):\n    # the same again\n    s = x+y\n\n    return s"
    assert reason("deduction", twin, "1,2", known=known) == "duplicate"
    assert reason("deduction", twin, "1, 3", known=known) == "accepted"
    assert reason("deduction", "def f(x, y):\n    s = x - y\n    return s", "1, 2", known=known) == "accepted"


def test_one_task_a_program_is_a_matter_of_one_rule(gate: Gate, reason: Reason) -> None:
    first = gate("deduction", "def f(a):\n    return a + 1", "1", duplicate_by="program")
    assert isinstance(first, Task)
    known = {first.fingerprint}.__contains__
    assert reason("deduction", "def f(b):\n    return b + 1", "2", known=known, duplicate_by="program") == "duplicate"


@pytest.mark.parametrize("kind", ["deduction", "abduction", "error"])
def test_a_program_that_evaluation_asks_about_is_refused_however_it_is_written(
    gate: Gate, reason: Reason, kind: str
) -> None:
    known = gate("deduction", "def f(a):\n    return a + 1", "1")
    assert isinstance(known, Task)
    held_out = {known.normal_form}
    assert reason(kind, "def f(other):\n  return other+1", "5", held_out=held_out) == "held_out"
    assert reason(kind, "def f(a):\n    return a + 2", "5", held_out=held_out) == "accepted"


def test_an_induction_task_about_a_held_out_program_is_refused(gate: Gate, reason: Reason) -> None:
    known = gate("deduction", "def f(a):\n    return a + 1", "1")
    assert isinstance(known, Task)
    asked = ("induction", "def f(a):\n    return a + 1", "1", "2")
    rules = {"message": "more", "induction_inputs": 2, "induction_shown": 1}
    assert reason(*asked, **rules) == "accepted"
    assert reason(*asked, **rules, held_out={known.normal_form}) == "held_out"


def test_what_the_machine_was_too_busy_for_is_retry_and_no_judgement(sandbox: Sandbox) -> None:
    from sandbox_wasm.protocol import InspectResult, LiteralResult, Outcome, RunResult, Value

    plan = task_type("deduction").gate(Candidate(program="def f(a): return a", inputs=("1",)), GateRules())
    inspection, reading = drive_first(plan, sandbox)
    assert isinstance(inspection, InspectResult)
    assert isinstance(reading, LiteralResult)
    plan.send((inspection, reading))
    fine = RunResult((Outcome("ok", Value("1", "1", "1")),))
    with pytest.raises(StopIteration) as stop:
        plan.send((fine, RunResult((Outcome("retry", error="6 s on the wall clock"),))))
    assert stop.value.value == Refusal("retry", "6 s on the wall clock")


def drive_first(plan: Plan[Task | Refusal], sandbox: Sandbox) -> tuple[JobResult, ...]:
    """The results of a plan's first jobs, for tests that go on by hand."""
    return tuple(sandbox.run_many(next(plan)))


def test_refusals_show_hostile_text_bounded_and_without_control_characters(gate: Gate) -> None:
    program = "def f(a):\n    raise ValueError('\\x1b[31m' + 'bad\\u202e' * 1000)"
    refused = gate("deduction", program, "1")
    assert isinstance(refused, Refusal)
    assert refused.detail.isprintable()
    assert "\x1b" not in refused.detail
    assert len(refused.detail) <= 300
