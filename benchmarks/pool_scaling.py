"""What the pool costs on top of the work, and how much faster two workers are than one.

    one worker   ──► executions/s by the wall ──┐
    two workers  ──► executions/s by the wall ──┴► the ratio, within each round
                 ──► processor time: the pool's own process a job, against the workers' a job

Every program has one input, so that each job costs the pool as much as a job can. On a machine that does other things
as well the ratio by the wall says more about them than about the pool; the processor times say what it would be: with
as many workers as cores, the pool's own time is taken from theirs.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from typing import NamedTuple

import psutil

from azr.bench import Report, interleave
from azr.cli.main import main as azr
from azr.cli.numbers import whole
from benchmarks.contest import load_programs
from benchmarks.programs.make import SETS
from sandbox_wasm.cores import available_cores
from sandbox_wasm.pool import SandboxPool, open_sandbox
from sandbox_wasm.protocol import JobResult, RunJob

SUMMARY = "what the pool adds to a job, and two workers against one"

#: What two workers must give beside one, and what the pool may cost beside the work it carries.
GOAL_RATIO = 1.8
GOAL_OVERHEAD = 0.10


class _Lap(NamedTuple):
    per_second: float
    pool_seconds: float
    """Processor time of the pool's process a job."""
    worker_seconds: float
    """Processor time of the workers a job."""
    results: list[JobResult]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the back end, the programs and the rounds."""
    parser.add_argument("--backend", default="wasm", help="back end (default: %(default)s)")
    parser.add_argument("--instances", choices=("fresh", "restored"), help="wasm: brand-new or restored interpreters")
    parser.add_argument("--programs", choices=sorted(SETS), default="short", help="which set (default: %(default)s)")
    parser.add_argument("--rounds", type=whole(1), default=5, help="rounds that count (default: %(default)s)")


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Let one worker and two take turns over the same jobs."""
    options = {"instances": arguments.instances} if arguments.instances else {}
    programs = load_programs(arguments.programs)
    jobs = [RunJob(program=one.program, inputs=(text,)) for one in programs for text in one.inputs]
    report.settings |= {"backend": arguments.backend, **options, "jobs": len(jobs), "cores": available_cores()}
    with contextlib.ExitStack() as stack:
        pools = {
            f"{count} worker{'s' * (count > 1)}": stack.enter_context(
                open_sandbox(arguments.backend, count, queue_jobs=None, **options)
            )
            for count in (1, 2)
        }
        laps = interleave(
            {name: lambda pool=pool: _lap(pool, jobs) for name, pool in pools.items()},  # type: ignore[misc]
            arguments.rounds,
            progress=report.progress,
        )
    report.measures("1/s", {name: [lap.per_second for lap in each] for name, each in laps.items()})
    ratio = report.ratio("two workers against one", "2 workers", "1 worker")
    two = laps["2 workers"]
    report.measure("pool's own processor time", "µs/job", [lap.pool_seconds * 1e6 for lap in two], better="lower")
    report.measure("workers' processor time", "µs/job", [lap.worker_seconds * 1e6 for lap in two], better="lower")
    overhead = report.ratio("pool's share of the work", "pool's own processor time", "workers' processor time")
    report.goal("two workers against one", ratio.median, at_least=GOAL_RATIO)
    report.goal("pool's share of the work", overhead.median, at_most=GOAL_OVERHEAD)
    one_by_one = laps["1 worker"][0].results
    report.check("both gave the same answers", all(lap.results == one_by_one for each in laps.values() for lap in each))


def _lap(pool: SandboxPool, jobs: list[RunJob]) -> _Lap:
    list(pool.run_many(jobs[: 4 * pool.workers]))  # all workers awake
    own, workers, began = time.process_time(), _worker_seconds(pool), time.perf_counter()
    results = list(pool.run_many(jobs))
    wall = time.perf_counter() - began
    return _Lap(
        len(jobs) / wall,
        (time.process_time() - own) / len(jobs),
        (_worker_seconds(pool) - workers) / len(jobs),
        results,
    )


def _worker_seconds(pool: SandboxPool) -> float:
    times = [psutil.Process(worker).cpu_times() for worker in pool.worker_ids()]
    return float(sum(one.user + one.system + one.children_user + one.children_system for one in times))


def main() -> int:
    """The same as `azr bench pool-scaling`."""
    return azr(["bench", "pool-scaling", *sys.argv[1:]])


if __name__ == "__main__":
    raise SystemExit(main())
