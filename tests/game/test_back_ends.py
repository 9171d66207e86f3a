"""The default back end and the native one judge alike: the same tasks, the same refusals, the same verdicts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import pytest

from azr.game.banned import Banned
from azr.game.gate import GateRules
from azr.game.plan import drive
from azr.game.tasks import names, task_type
from azr.game.types import Candidate, Refusal, Task
from azr.game.verification import Equality, VerifyRules
from sandbox_wasm.protocol import Sandbox
from tests.game.conftest import BRIEF, task
from tests.game.test_verification import EQUALITY


@pytest.fixture(scope="module")
def wasm() -> Iterator[Sandbox]:
    from sandbox_wasm.pool import open_sandbox

    pool = open_sandbox("wasm", workers=1)
    try:
        yield pool
    finally:
        pool.close()


PROGRAMS = {
    "values of every kind": "def f(a):\n    return {1.5, 'é', (2,)}, float('nan'), b'\\x00', {a: [a]}, 10**20, 1j",
    "hash order": "def f(a):\n    return list({'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight'})",
    "an exception": "def f(a):\n    return [][a]",
    "a loop": "def f(a):\n    while True: pass",
    "recursion": "def f(a):\n    return f(a)",
    "memory": "def f(a):\n    return len(bytearray(10**9))",
    "no literal form": "def f(a):\n    return f",
    "a module that is banned": "import os\ndef f(a):\n    return a",
    "no program": "def f(a:\n    return a",
    "no entry": "def g(a):\n    return a",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_program_is_accepted_or_refused_for_the_same_reason(
    sandbox: Sandbox, wasm: Sandbox, name: str
) -> None:
    candidate = Candidate(program=PROGRAMS[name], inputs=("7",))
    rules = GateRules(limits=BRIEF)
    native, default = (drive(task_type("abduction").gate(candidate, rules), one) for one in (sandbox, wasm))
    if isinstance(native, Task):
        assert default == native
    else:
        assert not isinstance(default, Task)
        assert default.reason == native.reason


@pytest.mark.parametrize("name", names())
def test_every_example_passes_on_the_default_back_end_too(wasm: Sandbox, name: str) -> None:
    kind = task_type(name)
    example = kind.example()
    candidate = Candidate(
        program=example.program, inputs=example.inputs, message=example.message, components=example.components
    )
    accepted = drive(kind.gate(candidate, GateRules()), wasm)
    assert isinstance(accepted, Task), accepted
    assert accepted.outputs == example.outputs


@pytest.mark.parametrize(
    "program",
    [
        "def f(a):\n    b = bytearray(1)\n    try:\n        while True: b = b + b\n    except: return len(b)",
        "def f(a):\n    b = []\n    try:\n        while True: b.append(bytes(1 << 20))\n    except: return len(b)",
        "def f(a):\n    return len(bytearray(200 << 20))",
    ],
)
@pytest.mark.parametrize("instances", ["fresh", "restored"])
def test_dependence_on_how_much_memory_there_is_shows_between_probes(program: str, instances: str) -> None:
    """On the default back end: some machines do not hold a process to the memory that it is given."""
    from sandbox_wasm.pool import open_sandbox

    kind, rules = task_type("deduction"), GateRules(banned=Banned(builtins={}))
    honest = Candidate(program="def f(a):\n    return len(bytearray(64 << 20)) + a", inputs=("1",))
    hostile = Candidate(program=program, inputs=("1",))
    pool = open_sandbox("wasm", workers=1, instances=instances, canary_every=1)
    try:
        for _ in range(3):
            accepted, refused = (drive(kind.gate(candidate, rules), pool) for candidate in (honest, hostile))
            assert isinstance(accepted, Task), accepted
            assert isinstance(refused, Refusal)
            assert refused.reason == "nondeterministic"
    finally:
        pool.close()


@pytest.mark.parametrize("equality", get_args(Equality))
def test_equality_is_the_same(sandbox: Sandbox, wasm: Sandbox, equality: Equality) -> None:
    rules, kind = VerifyRules(equality=equality), task_type("deduction")
    for expected, answer, _, _ in EQUALITY:
        given = task("deduction", "", {"": expected})
        native, default = (drive(kind.verify(given, answer, rules), one) for one in (sandbox, wasm))
        assert (default.correct, default.reason) == (native.correct, native.reason), (expected, answer)
