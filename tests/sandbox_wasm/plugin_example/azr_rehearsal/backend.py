"""A back end that takes a program as stage directions: `say hello`, `sleep 0.2`, `die`, `hang`, and so on.

It runs no program at all, which makes it safe, fast and exact in what it does. Each input is answered by its own
text, so that a test sees which input an answer belongs to. `log=FILE` appends a line for each job begun, from
whichever worker.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from sandbox_wasm.protocol import (
    InspectJob,
    InspectResult,
    IsolationError,
    Job,
    JobResult,
    LiteralJob,
    LiteralResult,
    Outcome,
    RunJob,
    RunResult,
    Value,
)


class RehearsalBackend:
    """Acts out directions; `unless=FILE` in a direction makes it harmless once the file exists, and creates it."""

    name = "rehearsal"
    hardening = "none"

    def __init__(self, log: str | None = None, start: str = "") -> None:
        self._log = None if log is None else os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        if start:
            if self._log is not None:
                os.write(self._log, f"start {start}\n".encode())
            self._act(start)

    def run(self, job: Job) -> JobResult:
        """Answer each input by its own text, after doing what the program says."""
        if isinstance(job, LiteralJob):
            return LiteralResult(tuple(_read(text) for text in job.texts))
        inputs = job.inputs if isinstance(job, RunJob) else ()
        if self._log is not None:
            os.write(self._log, " ".join([job.program, *inputs, "\n"]).encode())
        if isinstance(job, InspectJob):
            status = self._act(job.program)
            return InspectResult(facts=None, reason="retry" if status == "retry" else "rehearsal")
        return RunResult(tuple(self._answer(job, text) for text in job.inputs))

    def close(self) -> None:
        """Nothing is held but the log."""
        if self._log is not None:
            os.close(self._log)

    def _answer(self, job: RunJob, text: str) -> Outcome:
        direction = text if text.startswith("!") else job.program
        status = self._act(direction.removeprefix("!"))
        return Outcome("retry", error="wall clock") if status == "retry" else _echo(text)

    def _act(self, directions: str) -> str:  # noqa: PLR0912 (one branch a direction)
        directions, _, condition = directions.partition(" unless=")
        verb, _, argument = directions.partition(" ")
        if condition:
            if Path(condition).exists():
                return "ok"
            Path(condition).touch()
        match verb:
            case "sleep":
                time.sleep(float(argument))
            case "await":
                while not Path(argument).exists():
                    time.sleep(0.005)
            case "burn":
                until = time.process_time() + float(argument)
                while time.process_time() < until:
                    pass
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                while True:
                    time.sleep(3600)
            case "leak":
                raise IsolationError(argument)
            case "raise":
                raise RuntimeError(argument)
            case "babble":
                os.write(int(sys.argv[1]), b"\xff" * 64)  # the worker's own line to the pool
            case "retry":
                return "retry"
        return "ok"


def _read(text: str) -> Outcome:
    """A text that is only read acts nothing out, but may take too long."""
    return Outcome("retry", error="wall clock") if text == "?retry" else _echo(text)


def _echo(text: str) -> Outcome:
    return Outcome("ok", value=Value(literal=text, exact=text, key=text))
