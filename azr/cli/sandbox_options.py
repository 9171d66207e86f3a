"""The options that all commands with a sandbox behind them share, and the sandbox, streams and progress they ask for.

Used by `azr exec`, `azr gate` and `azr verify`; `stream` is their whole `run`.

      arguments ──► sandbox ──► answer_lines(FILE or stdin ──► --output or stdout) ──► statistics on stderr
"""

from __future__ import annotations

import argparse
import contextlib
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from azr.cli.ending import tidied_when_ended
from azr.cli.lines import LineHandler, Tally, answer_lines
from azr.cli.numbers import positive, whole
from azr.config.sections.sandbox import SandboxConfig
from azr.config.sections.sandbox_rules import MOST_MEMORY_MB
from azr.errors import AzrError, UsageError
from azr.files import replacing, require_writable
from sandbox_wasm.cores import available_cores
from sandbox_wasm.pool import SandboxPool
from sandbox_wasm.protocol import Limits, Statistics
from sandbox_wasm.registry import BackendConfigurationError, Option, UnknownBackendError, known_backends

#: Task types of azr's own whose tasks have one input and one output. What others' have is theirs to say.
ONE_PAIR = frozenset({"deduction", "abduction", "error", "composite"})

#: Longest time-out that can be asked for, on the command line or in a line: an hour an input.
LONGEST_TIMEOUT_SECONDS = 3600.0

_DEFAULTS = SandboxConfig()

#: How many times as long as its fuel lasts a run may take on the wall clock: as by default.
_WALL = _DEFAULTS.wall_seconds / _DEFAULTS.timeout_seconds

_SOURCE_MEND = "name a file of JSON lines, or - for stdin"


def add_sandbox_arguments(parser: argparse.ArgumentParser, least_memory_mb: int = 1) -> None:
    """Declare where lines come from and go to, which sandbox runs programs, and what a program may use."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="JSON lines to read (default, or -: standard input)")
    parser.add_argument("--output", metavar="FILE", help="write here, all or nothing (default: standard output)")
    add_pool_arguments(parser, least_memory_mb)


def add_pool_arguments(parser: argparse.ArgumentParser, least_memory_mb: int = 1) -> None:
    """Declare which sandbox runs programs, and what a program may use. A gate, which gives its second run half of the
    memory, asks for more of it than nothing."""
    parser.add_argument("--backend", default=_DEFAULTS.backend, help=f"one of: {', '.join(known_backends())}")
    parser.add_argument("--workers", type=whole(1), metavar="N", help="worker processes (default: one a core)")
    parser.add_argument(
        "--instances",
        choices=("fresh", "restored"),
        help="wasm: a new interpreter for each program (default), or one put back bit by bit, which is faster",
    )
    parser.add_argument(
        "--timeout",
        type=positive(LONGEST_TIMEOUT_SECONDS),
        metavar="SECONDS",
        help=f"of one input's run, counted in fuel and so reproducible (default: {_DEFAULTS.timeout_seconds:g}); the"
        f" wall clock stands {_WALL:g} times as far behind it, and at {_DEFAULTS.wall_seconds:g} s at the nearest",
    )
    least = f", at least {least_memory_mb}" if least_memory_mb > 1 else ""
    parser.add_argument(
        "--memory-mb",
        type=whole(least_memory_mb, MOST_MEMORY_MB),
        metavar="MB",
        help=f"of one run{least} (default: {_DEFAULTS.memory_mb})",
    )
    parser.add_argument("--statistics", action="store_true", help="say on stderr what the sandbox did")


def limits_of(arguments: argparse.Namespace) -> Limits:
    """What one run may use by the command line."""
    limits = Limits(memory_bytes=(arguments.memory_mb or _DEFAULTS.memory_mb) << 20)
    return limits if arguments.timeout is None else limits_within(arguments.timeout, limits)


def limits_within(seconds: float, limits: Limits) -> Limits:
    """The limits with another time-out. Fuel decides: were the wall clock as near, a program that waits for memory, or
    meets a machine with other work, would be told of the clock, which decides nothing."""
    fuel, wall_seconds = Limits.of_seconds(seconds).fuel, max(_DEFAULTS.wall_seconds, _WALL * seconds)
    return msgspec.structs.replace(limits, fuel=fuel, wall_seconds=wall_seconds)


def stream(arguments: argparse.Namespace, handler: LineHandler[Any, Any]) -> int:
    """Answer all lines and return the exit status: 0, for every line was answered or an error was raised."""
    with _source(arguments.file) as source, tidied_when_ended():
        output = _sink(arguments.output)
        with open_from(arguments) as sandbox, output as sink:
            with _progress(source) as progress:
                tally = answer_lines(source, sink, handler, sandbox, progress)
            if arguments.statistics:
                print(statistics_of(tally, sandbox.statistics()), file=sys.stderr)
    return 0


@contextlib.contextmanager
def open_from(arguments: argparse.Namespace) -> Iterator[SandboxPool]:
    """The sandbox that the arguments ask for; what is wrong with it is told with its mend."""
    options: dict[str, Option] = {} if arguments.instances is None else {"instances": arguments.instances}
    try:
        with SandboxPool(arguments.backend, arguments.workers or available_cores(), options=options) as sandbox:
            yield sandbox
    except (UnknownBackendError, BackendConfigurationError) as error:
        raise UsageError(str(error), "azr exec --help lists back ends and options") from error


@contextlib.contextmanager
def _source(name: str | None) -> Iterator[int]:
    if name in (None, "-"):
        if sys.stdin.isatty():
            print("azr: reading JSON lines from the terminal; end with Ctrl-D", file=sys.stderr)
        yield sys.stdin.fileno()
        return
    try:
        descriptor = os.open(str(name), os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise AzrError(f"cannot read {name}: {error.strerror}", _SOURCE_MEND) from error
    try:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise AzrError(f"cannot read {name}: it is a folder", _SOURCE_MEND)
        yield descriptor
    finally:
        os.close(descriptor)


def _sink(name: str | None) -> contextlib.AbstractContextManager[IO[bytes]]:
    """Where answers go, not opened yet; a file that cannot be written is told now, before the work."""
    if name in (None, "-"):
        return contextlib.nullcontext(sys.stdout.buffer)
    path = Path(str(name))
    require_writable(path)
    return replacing(path)


@contextlib.contextmanager
def _progress(source: int) -> Iterator[Callable[[Tally], None] | None]:
    """A bar on stderr for a person; nothing for a file or a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    status = os.fstat(source)
    size = status.st_size if stat.S_ISREG(status.st_mode) else None
    columns = (
        SpinnerColumn(),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[lines]:,} lines"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=size, lines=0)
        yield lambda tally: bar.update(task, completed=tally.read_bytes, lines=tally.lines)


def statistics_of(tally: Tally, statistics: Statistics) -> str:
    """What `--statistics` says: lines, executions, the time of one, and workers that died."""
    by_status = ", ".join(f"{status} {count:,}" for status, count in statistics.by_status.items())
    p50, p99 = statistics.p50_seconds * 1e3, statistics.p99_seconds * 1e3
    return (
        f"lines       {tally.lines:,} answered, {tally.bad_lines:,} of them not understood\n"
        f"executions  {statistics.executions:,} at {statistics.executions_per_second:,.0f}/s ({by_status or 'none'})\n"
        f"a job       p50 {p50:.2f} ms, p99 {p99:.2f} ms in its worker\n"
        f"workers     {statistics.workers_replaced:,} replaced"
    )
