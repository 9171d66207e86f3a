"""How long after its limit a hostile program is really stopped, on an idle machine and on a loaded one.

The limit that is measured is the wall clock's: fuel is set out of reach, because it ends a run early by an amount that
says how fast the machine is, not how well it stops. Memory and recursion end a run before either. The back end is
asked directly, as its worker asks it, because a pool asks a run that the clock ended once more: each sample here is one
stop.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np

from azr.bench import Report
from azr.cli.numbers import positive, whole
from sandbox_wasm.cores import available_cores
from sandbox_wasm.protocol import Backend, Limits, RunJob, RunResult
from sandbox_wasm.registry import make_backend

SUMMARY = "time by which loops, memory bombs and recursion outlive their limit, idle and loaded"

#: What a program may do to go on for ever, or to take everything.
_HOSTILE = {
    "endless loop": ("def f(x):\n    while True:\n        x += 1\n", ("timeout", "retry")),
    "endless iterator": ("import itertools\ndef f(x):\n    return sum(itertools.count())\n", ("timeout", "retry")),
    "regex": ("import re\ndef f(x):\n    return re.match('(a*)*b', 'a' * 64)\n", ("timeout", "retry")),
    "huge power": ("def f(x):\n    return 10 ** 10 ** 8\n", ("timeout", "retry", "memory", "error")),
    "memory bomb": (
        "def f(x):\n    held = []\n    while True:\n        held.append('x' * 10**6 + str(len(held)))\n",
        ("memory", "error", "timeout", "retry"),
    ),
    "recursion": ("def f(x):\n    return f(x + 1)\n", ("error", "crashed")),
}
_NEIGHBOUR = RunJob(program="def f(n):\n    return n * 2\n", inputs=("21",))

#: DESIGN's bounds on how far past its limit a program may run, 99th percentile.
_IDLE_MS, _LOADED_MS = 50.0, 250.0

#: Beyond what a run burns in its wall time.
_ENDLESS_FUEL = 1 << 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare back ends, limit and samples."""
    parser.add_argument(
        "--backend", action="append", help="back end to measure; may be repeated (default: wasm, process)"
    )
    parser.add_argument(
        "--limit", type=positive(), default=0.15, help="seconds a program may run (default: %(default)s)"
    )
    parser.add_argument(
        "--samples", type=whole(1), default=20, help="runs of each hostile program (default: %(default)s)"
    )


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Stop each hostile program many times, with a neighbour at work, idle first and then loaded."""
    backends = arguments.backend or ["wasm", "process"]
    report.settings |= {"limit_seconds": arguments.limit, "samples": arguments.samples}
    limits = Limits(fuel=_ENDLESS_FUEL, wall_seconds=arguments.limit)
    for backend in backends:
        with contextlib.closing(make_backend(backend, {})) as asked:
            _status(asked, _NEIGHBOUR)
            _stop_all(report, asked, f"{backend}, idle", limits, arguments.samples, _IDLE_MS)
            with _loaded(2 * available_cores()):
                _stop_all(report, asked, f"{backend}, loaded", limits, arguments.samples, _LOADED_MS)


def _stop_all(report: Report, backend: Backend, title: str, limits: Limits, samples: int, goal: float) -> None:
    every: list[float] = []
    unexpected: list[str] = []
    harmed = 0
    for name, (program, expected) in _HOSTILE.items():
        report.progress(f"{title}: {name}")
        over = []
        for _ in range(samples):
            began = time.perf_counter()
            status = _status(backend, RunJob(program=program, inputs=("0",), limits=limits))
            over.append((time.perf_counter() - began - limits.wall_seconds) * 1e3)
            if status not in expected:
                unexpected.append(f"{name}: {status}")
            harmed += _status(backend, _NEIGHBOUR) != "ok"
        report.measure(f"{title}: {name}", "ms past the limit", over, better="lower")
        every += over
    p99 = float(np.percentile(every, 99))
    report.measure(f"{title}, p99 of all", "ms past the limit", [p99], better="lower")
    report.goal(f"{title}: stopped, p99", p99, at_most=goal, unit="ms")
    report.check(f"{title}: every run ended as it should", not unexpected, "; ".join(sorted(set(unexpected))))
    report.check(f"{title}: the program after each was unharmed", harmed == 0, f"{harmed} harmed")


def _status(backend: Backend, job: RunJob) -> str:
    result = backend.run(job)
    assert isinstance(result, RunResult)
    return result.outcomes[0].status


@contextlib.contextmanager
def _loaded(processes: int) -> Iterator[None]:
    """Keep every core busy twice over."""
    busy = [subprocess.Popen([sys.executable, "-I", "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
        for process in busy:
            process.wait(timeout=10)
