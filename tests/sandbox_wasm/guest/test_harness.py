"""Running a program: how each kind of end is reported, and what the world looks like to the program."""

from __future__ import annotations

import sys

import pytest

from sandbox_wasm.process.backend import ProcessBackend
from sandbox_wasm.protocol import DEFAULT_CLOCK, Limits, Outcome, RunJob, RunResult


def run(backend: ProcessBackend, program: str, *inputs: str, **settings: object) -> Outcome:
    outcomes = run_all(backend, program, *(inputs or ("1",)), **settings)
    assert len(outcomes) == 1
    return outcomes[0]


def run_all(backend: ProcessBackend, program: str, *inputs: str, **settings: object) -> tuple[Outcome, ...]:
    result = backend.run(RunJob(program=program, inputs=inputs, **settings))  # type: ignore[arg-type]
    assert isinstance(result, RunResult)
    return result.outcomes


def literal(outcome: Outcome) -> str:
    assert outcome.status == "ok", outcome
    assert outcome.value is not None
    return outcome.value.literal


def test_the_entry_is_called_with_the_arguments_given(backend: ProcessBackend) -> None:
    program = "def g(*a, **k):\n    return a, k"
    outcomes = run_all(backend, program, "", "1", "'ab', 3", "[1], x={2: 3}", entry="g")
    assert [literal(outcome) for outcome in outcomes] == [
        "((), {})",
        "((1,), {})",
        "(('ab', 3), {})",
        "(([1],), {'x': {2: 3}})",
    ]


def test_an_entry_may_be_any_callable_and_use_helpers_and_classes(backend: ProcessBackend) -> None:
    program = """
from functools import partial
class Box:
    def __init__(self, value): self.value = value
def helper(box):
    def inner(): return box.value * 2
    return inner()
f = partial(lambda scale, a: scale * helper(Box(a)), 10)
"""
    assert literal(run(backend, program, "4")) == "80"


def test_arguments_that_are_not_data_are_refused_before_the_program_runs(backend: ProcessBackend) -> None:
    outcomes = run_all(backend, "raise ValueError\ndef f(a): return a", "1) or (True", "__import__('os')", "'\0'")
    assert [outcome.status for outcome in outcomes] == ["refused"] * 3


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("def f(a): raise ValueError('bad')", "ValueError: bad"),
        ("def f(a): raise ValueError", "ValueError"),
        ("def f(a): return 1 / 0", "ZeroDivisionError: division by zero"),
        ("def f(a): raise SystemExit(3)", "SystemExit: 3"),
        ("import sys\nsys.exit()\ndef f(a): return a", "SystemExit"),
        ("def f(a): raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("def f(a): raise GeneratorExit", "GeneratorExit"),
        ("def f(a): return next(iter([]))", "StopIteration"),
        ("class Fine(BaseException): pass\ndef f(a): raise Fine('x')", "Fine: x"),
        ("def f(a): assert a == 2, 'not two'", "AssertionError: not two"),
        ("def f(a, b): return a", "TypeError: f() missing 1 required positional argument: 'b'"),
        ("f = 3", "TypeError: 'int' object is not callable"),
        ("def g(a): return a", "NameError: name 'f' is not defined"),
        ("def f(a) return a", "SyntaxError: expected ':' (<program>, line 1)"),
        ("def f(a):\nreturn a", "IndentationError: "),
        # A ValueError before Python 3.11.4: the process back end runs programs by the Python that is there.
        ("x = '\0'", "SyntaxError: " if sys.version_info >= (3, 11, 4) else "ValueError: "),
        ("import no_such_module\ndef f(a): return a", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def f(a): return f(a)", "RecursionError: maximum recursion depth exceeded"),
        ("import sys\nsys.setrecursionlimit(10**9)\ndef f(a): return f(a)", "RecursionError: "),
        ("def f(a): raise ValueError('\\ud800')", "ValueError: \\ud800"),
        ("class E(Exception):\n    def __str__(self): raise SystemExit\ndef f(a): raise E", "E: (its message"),
        ("class E(Exception):\n    def __str__(self): return 3\ndef f(a): raise E", "E: (its message"),
        (
            "class S(str):\n    def __getitem__(self, i): raise SystemExit\n    __len__ = __str__ = __getitem__\n"
            "class E(Exception):\n    def __str__(self): return S('odd')\ndef f(a): raise E",
            "E: odd",
        ),
        ("class M(type):\n    __name__ = 3\nclass E(Exception, metaclass=M): pass\ndef f(a): raise E('x')", "E: x"),
        ("def f(a): raise ExceptionGroup('g', [ValueError(1)])", "ExceptionGroup: g (1 sub-exception)"),
        ("def f(a): raise TypeError('x' * 10**6)", "TypeError: " + "x" * 300),
        ("def f(a): raise type('E' * 3000, (Exception,), {})('m')", "E" * 100 + ": m"),
        ("def f(a): raise type('KeyError: no', (Exception,), {})('m')", "KeyError??no: m"),
        ("def f(a): raise type('KeyError ', (Exception,), {})", "KeyError?"),
        ("def f(a): raise type('', (Exception,), {})('m')", "?: m"),
        ("def f(a): raise type('3rd', (Exception,), {})('m')", "?rd: m"),
        ("class É(Exception): pass\ndef f(a): raise É('m')", "É: m"),
        (
            "class S(str):\n    def __add__(self, o): return S('KeyError')\n    __getitem__ = __format__ = __add__\n"
            "def f(a): raise type(S('Odd'), (Exception,), {})('m')",
            "Odd: m",
        ),
    ],
    ids=lambda value: "",
)
def test_whatever_is_raised_is_an_error_with_type_and_message(
    backend: ProcessBackend, program: str, error: str
) -> None:
    outcome = run(backend, program)
    assert outcome.status == "error", outcome
    assert outcome.error.startswith(error)
    assert len(outcome.error) <= 400


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("def f(a):\n    yield a", "no literal form: generator"),
        ("async def f(a): return a", "no literal form: coroutine"),
        ("async def f(a):\n    yield a", "no literal form: async_generator"),
        ("def f(a): return f", "no literal form: function"),
        ("class f:\n    def __init__(self, a): pass", "no literal form: f"),
        ("class C:\n    def __eq__(self, o): return True\ndef f(a): return C()", "no literal form: C"),
        ("class C(int): pass\ndef f(a): return [C(a)]", "no literal form: C"),
        ("def f(a): return type('C' * 3000, (), {})()", "no literal form: " + "C" * 100),
        ("def f(a): return type('C: D', (), {})()", "no literal form: C??D"),
        (
            "class C:\n    def __repr__(self): raise SystemExit\n    __hash__ = None\ndef f(a): return {1: C()}",
            "no literal form: C",
        ),
        ("def f(a):\n    x = []\n    x.append(x)\n    return x", "cycle"),
        ("def f(a):\n    for _ in range(999): a = [a]\n    return a", "too deep: more than 100 levels"),
        ("def f(a): return 'x' * 10**6", "too large: more than 65536 characters"),
    ],
    ids=lambda value: value if value.startswith(("no", "cycle", "too")) else "",
)
def test_a_value_without_a_literal_is_opaque(backend: ProcessBackend, program: str, reason: str) -> None:
    outcome = run(backend, program)
    assert (outcome.status, outcome.error) == ("opaque", reason)


def test_printing_reading_and_flooding_streams_neither_blocks_nor_shows(backend: ProcessBackend) -> None:
    program = """
import sys
def f(a):
    for _ in range(1000):
        print('x' * 10_000)
    sys.stderr.write('y' * 10_000)
    sys.stdout.buffer.write(b'z')
    sys.stdout.flush()
    return [sys.stdin.read(), sys.stdin.readline(), list(sys.stdin)]
"""
    assert literal(run(backend, program)) == "['', '', []]"
    assert run(backend, "def f(a): return input()").error == "EOFError: EOF when reading a line"


def test_what_stands_under_the_main_guard_is_not_run(backend: ProcessBackend) -> None:
    assert (
        literal(run(backend, "def f(a): return __name__\nif __name__ == '__main__':\n    raise SystemExit"))
        == "'program'"
    )


def test_dataclasses_enums_and_annotations_find_their_module(backend: ProcessBackend) -> None:
    program = """
from __future__ import annotations
from dataclasses import dataclass, astuple
from enum import Enum
from typing import ClassVar, get_type_hints
class Colour(Enum):
    RED = 1
@dataclass(order=True)
class Point:
    kind: ClassVar[int] = 3
    x: int = 0
def f(a): return [astuple(Point(a)), Colour(1).name, sorted(get_type_hints(Point))]
"""
    assert literal(run(backend, program)) == "[(1,), 'RED', ['kind', 'x']]"


def test_the_clock_is_the_jobs_and_sleeping_takes_no_time(backend: ProcessBackend) -> None:
    program = """
import time
from datetime import datetime, date, timedelta
def f(a):
    start, before = time.time(), time.monotonic()
    time.sleep(3600)
    slept = round(time.monotonic() - before)
    return [round(start), slept, str(date.today()), datetime.now().hour, time.localtime().tm_year]
"""
    assert literal(run(backend, program)) == f"[{DEFAULT_CLOCK:.0f}, 3600, '2023-11-14', 23, 2023]"
    assert literal(run(backend, program, clock=0.0)) == "[0, 3600, '1970-01-01', 1, 1970]"


def test_dates_stay_dates(backend: ProcessBackend) -> None:
    program = """
import datetime as d, copy, pickle
def f(a):
    now = d.datetime.now()
    return [isinstance(now, d.date), issubclass(d.datetime, d.date), isinstance(d.date(2020, 1, 1), d.datetime),
        repr(d.date(2020, 1, 2)), repr(d.datetime(2020, 1, 2)), str(d.datetime.strptime('2020', '%Y')),
        isinstance(now.date(), d.date), now - now == d.timedelta(0), copy.deepcopy(now) == now,
        d.datetime.max.year, d.datetime(2020, 1, 31) + d.timedelta(1) == d.datetime(2020, 2, 1),
        d.date.fromisoformat('2020-01-01').day]
"""
    assert literal(run(backend, program)) == (
        "[True, True, False, 'datetime.date(2020, 1, 2)', 'datetime.datetime(2020, 1, 2, 0, 0)', "
        "'2020-01-01 00:00:00', True, True, True, 9999, True, 1]"
    )


def test_a_programs_own_dates_are_told_from_others(backend: ProcessBackend) -> None:
    program = """
from datetime import date, datetime
class Day(date): pass
class Moment(datetime): pass
def f(a):
    day, moment = date(2020, 1, 1), datetime(2020, 1, 1)
    return [isinstance(day, Day), isinstance(moment, Moment), issubclass(datetime, Moment), issubclass(date, Day),
        isinstance(Day(2020, 1, 1), date), isinstance(Moment(2020, 1, 1), date), issubclass(Moment, datetime),
        isinstance(moment.date(), date), type(moment.date()) is date, type(Moment(2020, 1, 1).date()) is date]
"""
    assert literal(run(backend, program)) == repr([False] * 4 + [True] * 6)


CHANCE = """
import os, random, secrets, uuid
class Mine(random.Random): pass
def f(a):
    random.shuffle(x := list(range(9)))
    return [x, random.random(), random.Random().random(), Mine().random(), random.SystemRandom().random(),
        secrets.token_hex(4), str(uuid.uuid4()), os.urandom(4)]
"""


def test_all_chance_follows_the_seed_and_nothing_else(backend: ProcessBackend) -> None:
    first, again, elsewhere, other = (
        literal(run(backend, CHANCE, random_seed=seed, snapshot=snapshot))
        for seed, snapshot in ((1, 0), (1, 0), (1, 1), (2, 0))
    )
    assert first == again == elsewhere
    assert first != other


def test_a_seed_of_the_programs_own_gives_what_python_gives(backend: ProcessBackend) -> None:
    program = "import random\ndef f(a):\n    random.seed(7)\n    return [random.random(), random.Random(7).random()]"
    assert literal(run(backend, program)) == "[0.32383276483316237, 0.32383276483316237]"


def test_hash_order_differs_between_snapshots_and_only_there(backend: ProcessBackend) -> None:
    program = "def f(a): return list(set('abcdefgh'))"
    orders = {
        snapshot: {literal(run(backend, program, snapshot=snapshot, random_seed=seed)) for seed in range(3)}
        for snapshot in (0, 1)
    }
    assert [len(order) for order in orders.values()] == [1, 1]
    assert orders[0] != orders[1]


def test_the_order_inside_sets_never_shows_in_a_value(backend: ProcessBackend) -> None:
    program = "def f(a): return [set('abcdefgh'), {frozenset('xyz'): 1}]"
    first, second = (run(backend, program, snapshot=snapshot) for snapshot in (0, 1))
    assert first.value == second.value


BROKEN = {
    "builtins": "import builtins\nfor n in ('repr', 'sorted', 'type', 'len', 'BaseException', 'dict', 'isinstance'):\n"
    "    setattr(builtins, n, None)",
    "json": "import json\njson.dumps = json.loads = json.encoder.encode_basestring_ascii = None",
    "modules": "import sys\nsys.modules.clear()",
    "recursion": "import sys\nsys.setrecursionlimit(30)",
    "streams": "import sys\nsys.stdout = sys.stderr = sys.stdin = None",
    "collector": "import gc\ngc.disable()\ngc.set_threshold(1)",
    "os": "import os\nos._exit = os.write = None",
    "clocks": "import time, random\ntime.time = random.seed = random.random = None",
    "hooks": "import sys\nsys.settrace(lambda *a: None)\nsys.setprofile(lambda *a: None)",
    "excepthook": "import sys\nsys.excepthook = sys.unraisablehook = sys.displayhook = None",
    "warnings": "import warnings\nwarnings.simplefilter('error')\nwarnings.warn = None",
}


@pytest.mark.parametrize("what", BROKEN)
def test_breaking_the_interpreter_by_accident_does_not_lose_the_value(backend: ProcessBackend, what: str) -> None:
    assert literal(run(backend, BROKEN[what] + "\ndef f(a): return {a: (1, 2.5, {3})}")) == "{1: (1, 2.5, {3})}"


def test_a_trace_function_that_raises_hurts_its_program_alone(backend: ProcessBackend) -> None:
    for hook in ("settrace", "setprofile"):
        outcome = run(
            backend, f"import sys\ndef f(a):\n    sys.{hook}(lambda *a: 1 / 0)\n    return g(a)\ndef g(a): return a"
        )
        assert (outcome.status, outcome.error) == ("error", "ZeroDivisionError: division by zero")


def test_running_out_of_memory_is_memory_wherever_it_happens(backend: ProcessBackend) -> None:
    for program in (
        "def f(a): return 'x' * 10**12",
        "def f(a): return [0] * 10**10",
        "def f(a):\n    x = []\n    while True: x.append('y' * 10**6)",
        "x = bytearray(10**11)\ndef f(a): return a",
        "def f(a): return 1 << 10**12",
    ):
        assert run(backend, program).status == "memory", program


def test_the_length_of_a_values_text_is_the_jobs_to_limit(backend: ProcessBackend) -> None:
    limits = Limits(output_bytes=10)
    program = "def f(a): return 'x' * a"
    outcomes = run_all(backend, program, "8", "9", limits=limits)
    assert [outcome.status for outcome in outcomes] == ["ok", "opaque"]


def test_the_depth_of_recursion_is_the_jobs_to_limit(backend: ProcessBackend) -> None:
    program = "def f(a): return 0 if a == 0 else 1 + f(a - 1)"
    for recursion in (50, 400, 900):
        within, beyond = run_all(
            backend, program, str(recursion - 5), str(recursion + 1), limits=Limits(recursion=recursion)
        )
        assert literal(within) == str(recursion - 5)
        assert beyond.error.startswith("RecursionError")
