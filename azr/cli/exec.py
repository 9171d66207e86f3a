"""`azr exec`: runs anybody's programs in the sandbox, one JSON line each."""

from __future__ import annotations

import argparse
from typing import Annotated

import msgspec

from azr.cli.lines import result_bytes
from azr.cli.sandbox_options import LONGEST_TIMEOUT_SECONDS, add_sandbox_arguments, limits_of, limits_within, stream
from azr.game import plan
from azr.game.plan import Plan
from sandbox_wasm.protocol import Limits, Outcome, RunJob, RunResult

SUMMARY = "Run programs in the sandbox: JSON lines in, JSON lines out."
EPILOG = """a line of the input:
  {"id": 7, "program": "def f(a, b): return a + b", "inputs": ["'ab', 'c'", "1, 2"], "timeout_s": 1}
its answer:
  {"id": 7, "results": [{"status": "ok", "output": "'abc'"}, {"status": "ok", "output": "3"}]}

An input is the text of the call's arguments, literals only; each meets the program in a fresh interpreter. An output
is the value's repr, the order inside sets made canonical. Other statuses carry an "error": error, timeout, memory,
refused, crashed, opaque (the value has no literal form). A time-out is reproducible, fuel having run out, unless its
error names the wall clock: the machine was then too busy, twice, to let the run go on. A line that cannot be
understood is answered by {"id", "line", "error"}, and the rest is still done; exit status 0 says that all lines were
answered.

examples:
  echo '{"program": "def f(x): return x * 2", "inputs": ["21"]}' | azr exec
  azr exec programs.jsonl --output results.jsonl --statistics
  azr exec programs.jsonl --timeout 0.5 --memory-mb 64 --instances restored
  azr exec --backend process < programs.jsonl | jq .results
"""


class Request(msgspec.Struct):
    """A line of the input; fields not named here are passed over."""

    program: str
    inputs: list[str]
    id: msgspec.Raw = msgspec.Raw(b"null")
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=LONGEST_TIMEOUT_SECONDS)] | None = None


class Result(msgspec.Struct, omit_defaults=True):
    """What one input came to: an output when the status is `ok`, an error otherwise."""

    status: str
    output: str | None = None
    error: str | None = None


class Answer(msgspec.Struct):
    """A line of the output, with one result for each input, in order."""

    id: msgspec.Raw
    results: list[Result]


class ExecHandler:
    """Every line is one run of one program on its inputs."""

    request_type = Request

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def most_results(self, request: Request) -> int:
        """A result for each input."""
        return result_bytes(len(request.inputs), self._limits)

    def plan(self, request: Request) -> Plan[RunResult]:
        """One job, with the line's own time-out if it has one."""
        job = RunJob(program=request.program, inputs=tuple(request.inputs), limits=self._limits_of(request))
        (result,) = yield from plan.run(job)
        return result

    def answer(self, request: Request, verdict: RunResult) -> Answer:
        """The line's id and what became of its inputs."""
        wall_seconds = self._limits_of(request).wall_seconds
        return Answer(request.id, [_result(outcome, wall_seconds) for outcome in verdict.outcomes])

    def _limits_of(self, request: Request) -> Limits:
        return self._limits if request.timeout_s is None else limits_within(request.timeout_s, self._limits)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_sandbox_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Answer all lines."""
    return stream(arguments, ExecHandler(limits_of(arguments)))


def _result(outcome: Outcome, wall_seconds: float) -> Result:
    if outcome.status == "ok" and outcome.value is not None:
        return Result("ok", output=outcome.value.literal)
    if outcome.status == "retry":  # Nothing is judged here, so whoever asked may know which clock it was, and no more.
        return Result("timeout", error=f"wall clock: not done after {wall_seconds:g} s, twice")
    return Result(outcome.status, error=outcome.error)
