"""Nothing of one program is visible to the next: each pair below changes something, then looks for it."""

from __future__ import annotations

import pytest

from sandbox_wasm.protocol import RunJob
from sandbox_wasm.wasm.backend import WasmBackend

from .conftest import LIMITS, Run, literal

#: What is changed, by a program that changes it; and a program that says what it sees.
CHANGES = {
    "a builtin replaced": (
        "import builtins\ndef f(x):\n    builtins.len = lambda y: 7\n    return len('')",
        "def f(x): return len('ab')",
    ),
    "a builtin deleted": (
        "import builtins\ndef f(x):\n    del builtins.sorted",
        "def f(x): return sorted([2, 1])",
    ),
    "a module's attribute": (
        "import math\ndef f(x):\n    math.pi = 3\n    math.leak = 'seen'",
        "import math\ndef f(x): return math.pi, hasattr(math, 'leak')",
    ),
    "a module taken away": (
        "import sys\ndef f(x):\n    del sys.modules['json']",
        "import sys\ndef f(x): return 'json' in sys.modules",
    ),
    "a module put in": (
        "import sys\ndef f(x):\n    sys.modules['leak'] = sys",
        "import sys\ndef f(x): return 'leak' in sys.modules",
    ),
    "the collector": (
        "import gc\nclass A: pass\ndef f(x):\n    gc.enable()\n    gc.set_threshold(1)\n"
        "    keep = [A() for _ in range(1000)]\n    gc.freeze()\n    builtins = keep",
        "import gc\ndef f(x): return gc.isenabled(), gc.get_threshold(), gc.get_freeze_count(), gc.get_count()",
    ),
    "garbage": (
        "import gc\nclass Marked: pass\ndef f(x):\n    for _ in range(100):\n        a = Marked()\n        a.me = a",
        "import gc\ndef f(x): return sum(type(o).__name__ == 'Marked' for o in gc.get_objects())",
    ),
    "addresses": ("def f(x): return len([object() for _ in range(5000)])", "def f(x): return id(object()), id([])"),
    "a counter": (
        "import itertools, copyreg\ndef f(x):\n    copyreg.count = itertools.count()\n    next(copyreg.count)",
        "import copyreg\ndef f(x): return hasattr(copyreg, 'count')",
    ),
    "the clock": (
        "import time\ndef f(x):\n    time.sleep(5000)\n    return time.time()",
        "import time, datetime\ndef f(x): return time.time(), time.monotonic(), str(datetime.datetime.now())",
    ),
    "the generator": (
        "import random\ndef f(x):\n    random.seed(99)\n    return random.random()",
        "import random, os, uuid, secrets\n"
        "def f(x): return random.random(), os.urandom(4), str(uuid.uuid4()), secrets.token_hex(4)",
    ),
    "the order of sets": (
        "def f(x): return [hash(str(i)) for i in range(50)] != []",
        "def f(x): return list({'a', 'b', 'c', 'd', 'e'}), hash('text')",
    ),
    "the recursion limit": (
        "import sys\ndef f(x):\n    sys.setrecursionlimit(50)",
        "import sys\ndef f(x):\n    def g(n): return n and g(n - 1)\n    return g(200)",
    ),
    "a trace function": (
        "import sys\ndef f(x):\n    sys.settrace(lambda *a: 1 / 0)",
        "import sys\ndef f(x): return sys.gettrace() is None",
    ),
    "the streams": (
        "import sys\ndef f(x):\n    print('secret')\n    sys.stdout = None",
        "import sys\ndef f(x):\n    print('fine')\n    return sys.stdout is sys.__stdout__",
    ),
    "a class of the library": (
        "import collections\ndef f(x):\n    collections.Counter.leak = 1\n    return 1",
        "import collections\ndef f(x): return hasattr(collections.Counter, 'leak')",
    ),
    "an interned string": (
        "import sys\ndef f(x): return len([sys.intern(f'name{i}') for i in range(3000)])",
        "import sys\ndef f(x): return sys.getsizeof(''), id(sys.intern('name1'))",
    ),
    "the environment": (
        "import os\ndef f(x):\n    os.environ['LEAK'] = '1'",
        "import os\ndef f(x): return dict(os.environ)",
    ),
    "the harness": (
        "import sys\ndef f(x):\n    for name in list(sys.modules):\n"
        "        if name.startswith('guest'): vars(sys.modules[name]).clear()",
        "def f(x): return [x]",
    ),
    "much memory, not grown": (
        "def f(x):\n    a = bytearray(b'S' * 3_000_000)\n    return len(a)",
        "def f(x): return x",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_one_program_changes_the_next_does_not_see(run: Run, change: str) -> None:
    changing, looking = CHANGES[change]
    before = run(looking)
    assert before.status == "ok", before
    run(changing)
    after = run(looking)
    assert (after.status, after.value, after.fuel) == (before.status, before.value, before.fuel)


@pytest.mark.parametrize("change", CHANGES)
def test_the_inputs_of_one_program_do_not_see_each_other(backend: WasmBackend, change: str) -> None:
    changing, looking = CHANGES[change]
    both = f"{changing}\nchange = f\n{looking}\nlook = f\n\ndef f(x): return change(x) if x == 1 else look(x)"
    job = RunJob(program=both, inputs=("2", "1", "2"), limits=LIMITS)
    first, _, last = backend.run(job).outcomes  # type: ignore[union-attr]
    assert first.status == "ok", first
    assert (last.value, last.fuel) == (first.value, first.fuel)


def test_a_program_stopped_by_a_trap_leaves_the_next_untouched(run: Run) -> None:
    before = run("def f(x): return id(object()), x")
    assert run("import os\ndef f(x): os._exit(3)").status == "error"
    assert run("def f(x):\n    while True: pass").status == "timeout"
    assert run("def f(x): return id(object()), x") == before


def test_snapshots_differ_in_hash_order_and_in_nothing_honest(run: Run) -> None:
    orders = {literal(run("def f(x): return list({'a', 'b', 'c', 'd', 'e', 'f'})", snapshot=k)) for k in (0, 1)}
    assert len(orders) == 2
    same = {literal(run("def f(x): return sorted({'a', 'b', 'c', 'd'}), {'z': 1, 'a': 2}", snapshot=k)) for k in (0, 1)}
    assert len(same) == 1


def test_random_seed_and_clock_are_inputs_of_a_run(run: Run) -> None:
    draw = "import random, os\ndef f(x): return random.random(), os.urandom(8)"
    assert literal(run(draw, random_seed=1)) == literal(run(draw, random_seed=1))
    assert literal(run(draw, random_seed=1)) != literal(run(draw, random_seed=2))
    look = "import datetime\ndef f(x): return datetime.datetime.now().year"
    assert literal(run(look, clock=0.0)) == "1970"
    assert literal(run(look, clock=4_000_000_000.0)) == "2096"


def test_fresh_and_restored_instances_agree_in_value_and_fuel(fresh: WasmBackend, restored: WasmBackend) -> None:
    for _, looking in CHANGES.values():
        job = RunJob(program=looking, inputs=("1",), limits=LIMITS)
        assert restored.run(job) == fresh.run(job)
