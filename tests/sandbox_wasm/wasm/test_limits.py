"""What may be used up, what happens then, and what the outcome calls it."""

from __future__ import annotations

import time

import pytest

from sandbox_wasm.protocol import Limits, RunJob
from sandbox_wasm.wasm.backend import WasmBackend

from .conftest import LIMITS, Run, literal

#: name → (program, statuses that tell the truth, a word of the error)
STOPPED = {
    "an endless loop": ("def f(x):\n    while True: pass", {"timeout"}, "fuel"),
    "an endless loop at import": ("while True: pass\ndef f(x): return x", {"timeout"}, "fuel"),
    "an endless iterator": ("import itertools\ndef f(x): return sum(itertools.count())", {"timeout"}, "fuel"),
    "a loop that catches all": (
        "def f(x):\n    while True:\n        try:\n            while True: pass\n        except BaseException: pass",
        {"timeout"},
        "fuel",
    ),
    "an endless __repr__ of an error": (
        "class E(Exception):\n    def __str__(self):\n        while True: pass\ndef f(x): raise E",
        {"timeout"},
        "fuel",
    ),
    "a catastrophic regex": ("import re\ndef f(x): return re.match('(a+)+b', 'a' * 60)", {"timeout"}, "fuel"),
    "a huge power": ("def f(x): return 10 ** 10 ** 8", {"timeout", "memory"}, ""),
    "a huge factorial": ("import math\ndef f(x): return math.factorial(10 ** 7)", {"timeout", "memory"}, ""),
    "a huge literal at compile time": ("def f(x): return 1 << (1 << 40)", {"error", "memory"}, "Error"),
    "a huge list": ("def f(x): return [0] * 10 ** 9", {"memory"}, "MemoryError"),
    "a growing list": (
        "def f(x):\n    a = []\n    while True: a.append(bytearray(10 ** 7))",
        {"memory"},
        "MemoryError",
    ),
    "a growing dictionary": ("def f(x):\n    d = {}\n    while True: d[len(d)] = d.copy()", {"memory", "timeout"}, ""),
    "deep recursion": ("def f(x): return f(x + 1)", {"error"}, "RecursionError"),
    "deep recursion, the limit raised": (
        "import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(x): return f(x + 1)",
        {"error"},
        "RecursionError",
    ),
    "recursion through C": (
        "def f(x): return sorted([1, 2], key=lambda y: f(x))",
        {"error"},
        "RecursionError",
    ),
    "nested repr": (
        "def f(x):\n    a = []\n    for _ in range(10 ** 4): a = [a]\n    return repr(a)",
        {"error", "timeout"},
        "",
    ),
    "deep deallocation": (
        "def f(x):\n    a = None\n    for _ in range(10 ** 5): a = (a,)\n    del a\n    return 1",
        {"ok", "error"},
        "",
    ),
    "_exit": ("import os\ndef f(x): os._exit(7)", {"error"}, "ProcessExit: left with"),
    "abort": ("import os\ndef f(x): os.abort()", {"error"}, "ProcessExit: "),
    "exit": ("import sys\ndef f(x): sys.exit(3)", {"error"}, "SystemExit"),
    "a signal to itself": (
        "import os, signal\ndef f(x): os.kill(os.getpid(), 9)",
        {"error"},
        "",
    ),
    "raising a signal": ("import signal\ndef f(x): signal.raise_signal(signal.SIGABRT)", {"error"}, ""),
    "broken bytecode": (
        "def g(): pass\ndef f(x):\n    g.__code__ = g.__code__.replace(co_code=bytes([255, 255] * 8), co_stacksize=0)\n"
        "    return g()",
        {"error", "timeout", "memory"},
        "",
    ),
    "a code object with wild indices": (
        "def g(): return 1\ndef f(x):\n"
        "    g.__code__ = g.__code__.replace(co_code=bytes([100, 255] * 8), co_consts=())\n    return g()",
        {"ok", "error", "timeout", "memory", "opaque"},
        "",
    ),
    "output without end": ("def f(x): return 'x' * 10 ** 6", {"opaque"}, "too large"),
}


@pytest.mark.parametrize("name", STOPPED)
def test_each_is_stopped_and_named_and_the_next_program_runs(run: Run, name: str) -> None:
    program, statuses, word = STOPPED[name]
    outcome = run(program)
    assert outcome.status in statuses, outcome
    assert word in outcome.error, outcome
    assert literal(run("def f(x): return x + 1")) == "2"


def test_fuel_is_the_same_from_run_to_run_and_decides_the_verdict(run: Run) -> None:
    program = "def f(x):\n    total = 0\n    for i in range(20000): total += i * x\n    return total"
    used = {run(program).fuel for _ in range(3)}
    assert len(used) == 1
    (need,) = used
    assert run(program, limits=Limits(fuel=need, wall_seconds=60.0)).status == "ok"
    verdicts = {run(program, limits=Limits(fuel=need - need // 10, wall_seconds=60.0)).status for _ in range(3)}
    assert verdicts == {"timeout"}


def test_the_wall_clock_is_a_backstop_that_decides_nothing(run: Run) -> None:
    started = time.monotonic()
    outcome = run("def f(x):\n    while True: pass", limits=Limits(fuel=10**15, wall_seconds=0.3))
    assert outcome.status == "retry"
    assert "wall clock" in outcome.error
    assert time.monotonic() - started < 0.3 + 2.0  # loaded machines included


def test_a_regular_expression_is_stopped_by_the_wall_clock_too(run: Run) -> None:
    program = "import re\ndef f(x): return re.match('(a+)+b', 'a' * 60)"
    assert run(program, limits=Limits(fuel=10**15, wall_seconds=0.2)).status == "retry"


def test_memory_is_limited_as_asked(run: Run) -> None:
    program = "def f(x): return len(bytearray(100_000_000))"
    assert run(program, limits=Limits(memory_bytes=256 << 20)).status == "ok"
    assert run(program, limits=Limits(memory_bytes=64 << 20)).status == "memory"


def test_recursion_is_limited_as_asked(run: Run) -> None:
    program = "def f(n): return n and 1 + f(n - 1)"
    assert literal(run(program, "300", limits=Limits(recursion=400))) == "300"
    assert run(program, "300", limits=Limits(recursion=100)).status == "error"


def test_output_is_never_cut(run: Run) -> None:
    program = "def f(n): return 'x' * n"
    assert literal(run(program, "100", limits=Limits(output_bytes=102))) == repr("x" * 100)
    assert run(program, "101", limits=Limits(output_bytes=102)).status == "opaque"


def test_a_trap_on_one_input_does_not_lose_the_others(backend: WasmBackend) -> None:
    program = "import os\ndef f(x):\n    if x == 2: os._exit(1)\n    while x == 4: pass\n    return x * 10"
    job = RunJob(program=program, inputs=("1", "2", "3", "4", "5", "nope()"), limits=LIMITS)
    outcomes = backend.run(job).outcomes  # type: ignore[union-attr]
    assert [outcome.status for outcome in outcomes] == ["ok", "error", "ok", "timeout", "ok", "refused"]
    assert [outcome.value.literal for outcome in outcomes if outcome.value] == ["10", "30", "50"]


def test_asking_the_host_for_something_is_answered_inside(run: Run) -> None:
    assert "FileNotFoundError" in run("def f(x): return open('/etc/passwd').read()").error
    assert run("def f(x): return open('new', 'w')").status == "error"
    assert run("import socket\ndef f(x): return socket.socket()").status == "error"
    assert run("import subprocess\ndef f(x): return subprocess.run(['id'])").status == "error"
    assert run("import threading\ndef f(x): threading.Thread(target=print).start()").status == "error"
    assert run("import nothing_such\ndef f(x): return x").error.startswith("ModuleNotFoundError")


def test_nothing_waits_on_the_host(run: Run) -> None:
    started = time.monotonic()
    assert literal(run("import time\ndef f(x):\n    time.sleep(10 ** 6)\n    return 1")) == "1"
    assert literal(run("import select\ndef f(x): return select.select([], [], [], 10 ** 6)")) == "([], [], [])"
    assert time.monotonic() - started < 5.0


def test_compiling_is_charged_to_each_input_whether_it_is_shared_or_not(backend: WasmBackend) -> None:
    program = "def f(x): return x + " + " + ".join(map(str, range(2000)))
    limits = Limits(fuel=10**11, wall_seconds=60.0)
    alone = backend.run(RunJob(program=program, inputs=("1",), limits=limits)).outcomes[0]  # type: ignore[union-attr]
    shared = backend.run(RunJob(program=program, inputs=("1",) * 5, limits=limits))
    assert alone.status == "ok"
    for outcome in shared.outcomes:  # type: ignore[union-attr]
        assert outcome.status == "ok"
        assert alone.fuel <= outcome.fuel <= 1.5 * alone.fuel  # code must be carried over as well


def test_a_hijacked_guest_cannot_hand_the_host_more_than_an_honest_one_could(run: Run) -> None:
    flood = """
import sys
def f(x):
    text = "9" * 12_000_000
    value = '{"literal":"' + text + '","exact":"1","key":"1"}'
    for module in list(sys.modules.values()):
        if hasattr(module, "write_outcomes"):
            module._outcome = lambda *a: '{"status":"ok","value":' + value + "}"
    return 0
"""
    outcome = run(flood)
    assert (outcome.status, outcome.error[:13]) == ("error", "ProcessExit: ")
    assert "longer than an honest one" in outcome.error
