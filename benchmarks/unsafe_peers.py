"""How others run programs, without isolation. For programs of our own only; never for a model's.

Each function here builds a runner in a process that `benchmarks.contest` started for it and that does nothing else.
They are what the sandbox is compared with, not a way to run anything in azr.
"""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import TimeoutError as DeadlineError

from pebble import ProcessPool

from benchmarks.contest import Runner, Work

#: The time-out that the published system gives its executor.
_TIMEOUT_SECONDS = 10


def bare_exec() -> Runner:
    """`exec` in the process itself: no isolation, no time-out; the floor of what CPython costs."""

    def run(work: Work) -> list[list[str]]:
        return [[_trusted(program, argument) for argument in arguments] for program, arguments in work]

    return run


def pebble_pool() -> Runner:
    """A warm pool of one process with time-outs, as the published system runs programs; state leaks between them."""
    pool = ProcessPool(max_workers=1)

    def run(work: Work) -> list[list[str]]:
        flat = [(program, argument) for program, arguments in work for argument in arguments]
        programs, arguments = zip(*flat, strict=True)
        results = pool.map(_trusted, programs, arguments, timeout=_TIMEOUT_SECONDS).result()
        answers = []
        for _ in flat:
            try:
                answers.append(next(results))
            except DeadlineError:
                answers.append("error: timeout")
        return _as_asked(work, answers)

    return run


def interpreter_a_program() -> Runner:
    """`python -I` for each execution: separate state and a time-out, no protection of files or network."""

    def run(work: Work) -> list[list[str]]:
        return [[_spawned(program, argument) for argument in arguments] for program, arguments in work]

    return run


def _spawned(program: str, argument: str) -> str:
    code = f"{program}\nprint(repr(f({argument})))"
    answer = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
    )
    return answer.stdout.rstrip("\n") if answer.returncode == 0 else f"error: {answer.stderr.splitlines()[-1]}"


def _trusted(program: str, argument: str) -> str:
    """Run a program of ours right here."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    try:
        exec(compile(program, "<program>", "exec"), namespace)
        return repr(eval(f"f({argument})", namespace))
    except Exception as error:
        return f"error: {type(error).__name__}: {error}"


def _as_asked(work: Work, answers: list[str]) -> list[list[str]]:
    remaining = iter(answers)
    return [[next(remaining) for _ in arguments] for _, arguments in work]
