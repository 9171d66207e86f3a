"""Where a program's time goes: `python -m sandbox_wasm.wasm.profile benchmarks/programs/short.jsonl`.

For whoever changes the guest or the runtime; the official figures are `azr bench sandbox`'s. Times are CPU time of this
thread, medians over all programs; fuel and pages do not depend on the machine's load.

    fresh:     instantiate │ first call (with its page faults) │ drop
    restored:  call │ put back
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

from sandbox_wasm import envelope
from sandbox_wasm.protocol import Limits, RunJob
from sandbox_wasm.wasm import pages
from sandbox_wasm.wasm.engine import Engine
from sandbox_wasm.wasm.instance import Instance
from sandbox_wasm.wasm.restore import Restored

LIMITS = Limits()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs", type=Path, help="JSON lines with `program` and `inputs`")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    tasks = [json.loads(line) for line in arguments.programs.read_text().splitlines()]
    requests = [envelope.encode(RunJob(program=task["program"], inputs=(task["inputs"][0],))) for task in tasks]
    engine = Engine()
    figures: dict[str, list[float]] = {}
    for _ in range(arguments.rounds):
        _fresh(engine, requests, figures)
        if pages.supported():
            _restored(engine, requests, figures)
    for name, values in figures.items():
        print(f"{name:24} median {statistics.median(values):10.1f}   highest {max(values):12.1f}")


def _ask(instance: Instance, request: bytes) -> int:
    return instance.ask(request, LIMITS.fuel, LIMITS.memory_bytes, 1 << 20, 0, 0)[1]


def _microseconds(since: int) -> float:
    return (time.thread_time_ns() - since) / 1000


def _fresh(engine: Engine, requests: list[bytes], figures: dict[str, list[float]]) -> None:
    ready = engine.snapshot(0)
    scanner = pages.Scanner() if pages.supported() else None
    for request in requests:
        started = time.thread_time_ns()
        instance = Instance(engine.native, ready)
        figures.setdefault("instantiate, us", []).append(_microseconds(started))
        faults, started = pages.faults(), time.thread_time_ns()
        fuel = _ask(instance, request)
        figures.setdefault("first call, us", []).append(_microseconds(started))
        figures.setdefault("page faults", []).append(pages.faults() - faults)
        figures.setdefault("fuel", []).append(fuel)
        if scanner is not None:
            dirty = scanner.private_runs(instance.base, instance.size) or []
            figures.setdefault("pages dirtied", []).append(sum(end - first for first, end in dirty))
        started = time.thread_time_ns()
        instance.close()
        figures.setdefault("drop, us", []).append(_microseconds(started))
    if scanner is not None:
        scanner.close()


def _restored(engine: Engine, requests: list[bytes], figures: dict[str, list[float]]) -> None:
    ready = engine.snapshot(0)
    kept = Restored(lambda: Instance(engine.native, ready), canary_every=10**9)
    for request in [*requests, *requests]:  # the first time round finds out which pages get dirty
        instance = kept.take()
        started = time.thread_time_ns()
        _ask(instance, request)
        called = _microseconds(started)
        started = time.thread_time_ns()
        kept.give_back(stopped=False)
        if kept.runs > len(requests):
            figures.setdefault("call when restored, us", []).append(called)
            figures.setdefault("put back, us", []).append(_microseconds(started))
    figures.setdefault("pages put back", []).append(kept.known)
    kept.close()


if __name__ == "__main__":
    main()
