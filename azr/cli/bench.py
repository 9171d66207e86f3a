"""`azr bench`: runs a benchmark, prints its table, writes its result and plot."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from azr.bench.report import Report
from azr.bench.result import Result, read_result
from azr.bench.runner import benchmarks, load_benchmark, results_folder, write_result
from azr.bench.table import rendered
from azr.cli.main import EXIT_ERROR
from azr.errors import UsageError
from azr.piped import PipedConsole

SUMMARY = "Measure this machine. The numbers in the README come from these commands."
EPILOG = """examples:
  azr bench list                          what can be measured
  azr bench sandbox --help                what one benchmark takes
  azr bench sandbox --rounds 5            measure, print a table, write JSON and a plot
  azr bench sandbox --no-write            only print
  azr bench show benchmarks/results/*.json

Exit status 1 means that a check failed (contenders disagreed, something was harmed); a goal that is missed is
reported and does not change the status, because goals speak of a machine that may not be yours.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the name; the rest belongs to the benchmark, whose module is only then imported."""
    parser.add_argument("name", metavar="NAME", help="a benchmark, or `list`, or `show` with result files")
    parser.add_argument(
        "rest", nargs=argparse.REMAINDER, metavar="...", help="the benchmark's own arguments; NAME --help"
    )


def run(arguments: argparse.Namespace) -> int:
    """List, show, or measure."""
    if arguments.name == "list":
        return _list()
    if arguments.name == "show":
        return _show(arguments.rest)
    return _measure(arguments.name, arguments.rest)


def _list() -> int:
    known = benchmarks()
    width = max(map(len, known), default=0)
    for name, summary in known.items():
        print(f"{name:<{width}}  {summary}")
    return 0


def _show(paths: list[str]) -> int:
    if not paths:
        raise UsageError("azr bench show needs result files", f"they lie in {results_folder()}")
    for path in paths:
        _print(read_result(Path(path)))
    return 0


def _measure(name: str, words: list[str]) -> int:
    benchmark = load_benchmark(name)
    parser = argparse.ArgumentParser(prog=f"azr bench {name}", description=benchmark.SUMMARY)
    parser.add_argument(
        "--results", type=Path, default=results_folder(), help="folder for the result (default: %(default)s)"
    )
    parser.add_argument("--no-write", action="store_true", help="print the table and write nothing")
    benchmark.add_arguments(parser)
    arguments = parser.parse_args(words)
    report = Report(name, shlex.join(["azr", "bench", name, *words]))
    try:
        benchmark.run(arguments, report)
    except BaseException:  # Ctrl-C and SIGTERM too
        # Not written, for it is not whole; but what took minutes to measure is not thrown away.
        if (so_far := report.result()).measures:
            _print(so_far)
        raise
    report.progress("done\n")
    result = report.result()
    _print(result)
    if not arguments.no_write:
        print(f"written: {write_result(result, arguments.results)}")
    return 0 if result.sound else EXIT_ERROR


def _print(result: Result) -> None:
    # Where nobody looks (a file, a log) there is no width to keep to.
    width = None if sys.stdout.isatty() else 120
    PipedConsole(file=sys.stdout, highlight=False, width=width).print(rendered(result))
