"""`azr gate`: judges anybody's proposed tasks as strictly as self-play does, one JSON line each."""

from __future__ import annotations

import argparse
from typing import get_args

import msgspec

from azr.cli.lines import result_bytes
from azr.cli.numbers import whole
from azr.cli.sandbox_options import ONE_PAIR, add_sandbox_arguments, limits_of, stream
from azr.config import Config
from azr.config.sections.gating import GatingConfig, LengthsConfig
from azr.config.sections.sandbox_rules import LEAST_MEMORY_MB
from azr.game.gate import GateRules
from azr.game.identity import DuplicateBy
from azr.game.plan import Plan
from azr.game.reasons import GateReason, ParseReason, explained, refused
from azr.game.tasks import task_type
from azr.game.tasks.composite import assembled
from azr.game.types import Candidate, Refusal, Task

SUMMARY = "Judge proposed tasks as strictly as self-play does: JSON lines in, JSON lines out."
EPILOG = """a line of the input:
  {"id": 7, "task": "deduction", "program": "def f(a): return a[::-1]", "inputs": ["'abc'"]}
its answer:
  {"id": 7, "accepted": true, "reason": null, "detail": "", "outputs": ["'cba'"]}

task is one of deduction, abduction, induction, error, composite. Induction takes as many inputs as --inputs says and a
"message"; composite takes "components" (programs whose entries are named g_0, g_1, ...) and a program that calls them.
A refused task carries one word as its reason; `azr gate --reasons` explains them all. Where it is retry or crashed the
machine failed and nothing was decided. A task that an earlier line brought already is refused as duplicate unless
--no-dedup is given; to tell, 8 bytes and some are kept for each accepted line. A line that cannot be understood is
answered by {"id", "line", "error"}, and the rest is still done.

examples:
  azr gate proposals.jsonl --output judged.jsonl
  azr gate --no-dedup --timeout 1 < proposals.jsonl | jq 'select(.accepted)'
"""


class Request(msgspec.Struct):
    """A line of the input; fields not named here are passed over."""

    task: str
    program: str
    inputs: list[str]
    message: str = ""
    components: list[str] = []
    id: msgspec.Raw = msgspec.Raw(b"null")

    def __post_init__(self) -> None:
        task_type(self.task)
        if self.task in ONE_PAIR and len(self.inputs) != 1:
            raise ValueError(f"{self.task} takes one input, not {len(self.inputs)}")
        if self.task != "induction" and not self.inputs:  # of which the gate itself says that they are too few
            raise ValueError(f"{self.task} takes an input at least")


class Answer(msgspec.Struct):
    """A line of the output."""

    id: msgspec.Raw
    accepted: bool
    reason: str | None
    detail: str
    outputs: list[str]


class GateHandler:
    """Every line is one candidate. Duplicates are found when answers are written, in the order of the lines."""

    request_type = Request

    def __init__(self, rules: GateRules, deduplicate: bool) -> None:
        self._rules = rules
        self._deduplicate = deduplicate
        self._seen: set[int] = set()

    def most_results(self, request: Request) -> int:
        """A run of each input by every probe, or with each component replaced."""
        runs = max(len(self._rules.probes), len(request.components))
        return result_bytes(runs * len(request.inputs), self._rules.limits)

    def plan(self, request: Request) -> Plan[Task | Refusal]:
        """The gate of the line's task type."""
        components = tuple(request.components)
        candidate = Candidate(
            program=assembled(components, request.program),
            inputs=tuple(request.inputs),
            message=request.message,
            components=components,
        )
        return task_type(request.task).gate(candidate, self._rules)

    def answer(self, request: Request, verdict: Task | Refusal) -> Answer:
        """Accepted with the outputs, or refused with the reason."""
        if isinstance(verdict, Task) and self._deduplicate:
            verdict = self._unless_seen(request.task, verdict)
        if isinstance(verdict, Refusal):
            return Answer(request.id, False, verdict.reason, verdict.detail, [])
        return Answer(request.id, True, None, "", list(verdict.outputs))

    def _unless_seen(self, kind: str, task: Task) -> Task | Refusal:
        mark = hash((kind, task.fingerprint))
        if mark in self._seen:
            return refused("duplicate", task.fingerprint)
        self._seen.add(mark)
        return task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_sandbox_arguments(parser, LEAST_MEMORY_MB)
    gating, lengths = GatingConfig(), LengthsConfig()
    parser.add_argument("--no-dedup", action="store_true", help="judge each line by itself")
    parser.add_argument(
        "--duplicate-by",
        choices=get_args(DuplicateBy),
        default=gating.duplicate_by,
        help=f"what makes two tasks the same (default: {gating.duplicate_by})",
    )
    parser.add_argument(
        "--inputs",
        type=whole(2),  # One to show and one to hide.
        default=gating.induction_inputs,
        metavar="N",
        help=f"inputs of an induction task, the first half of them shown (default: {gating.induction_inputs})",
    )
    parser.add_argument(
        "--max-output",
        type=whole(1),
        default=lengths.output,
        metavar="N",
        help=f"longest output in characters (default: {lengths.output})",
    )
    parser.add_argument("--reasons", action="store_true", help="explain every reason of a refusal, and stop")


def run(arguments: argparse.Namespace) -> int:
    """Answer all lines."""
    if arguments.reasons:
        print(explained(*get_args(ParseReason), *get_args(GateReason)))
        return 0
    gating = GatingConfig(
        duplicate_by=arguments.duplicate_by, induction_inputs=arguments.inputs, induction_shown=arguments.inputs // 2
    )
    config = Config(gating=gating, lengths=LengthsConfig(output=arguments.max_output))
    rules = msgspec.structs.replace(GateRules.of(config), limits=limits_of(arguments))
    return stream(arguments, GateHandler(rules, deduplicate=not arguments.no_dedup))
