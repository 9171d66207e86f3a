"""`azr verify`: judges anybody's answers to tasks, one JSON line each."""

from __future__ import annotations

import argparse
from typing import get_args

import msgspec

from azr.cli.lines import result_bytes
from azr.cli.sandbox_options import ONE_PAIR, add_sandbox_arguments, limits_of, stream
from azr.config import Config
from azr.config.sections.gating import GatingConfig
from azr.game.plan import Plan
from azr.game.reasons import MalformedReason, VerdictReason, explained
from azr.game.tasks import task_type
from azr.game.types import Task, Verdict
from azr.game.verification import Equality, VerifyRules, unreadable_input

SUMMARY = "Judge answers to tasks: JSON lines in, JSON lines out."
EPILOG = """a line of the input:
  {"id": 7, "task": "abduction", "program": "def f(a): return a[::-1]", "inputs": ["'abc'"], "outputs": ["'cba'"],
   "answer": "'abc'"}
its answer:
  {"id": 7, "correct": true, "reason": "correct", "detail": ""}

The answer is bare: a literal (deduction), the text of the arguments (abduction), a program (induction), the name of an
exception class or NoError (error). Where the reason is retry, crashed, unreadable_expected or unreadable_input the
machine or the task failed and nothing was decided; all reasons are explained by `azr verify --reasons`. Values are
equal as Python says, and nan equals nan; --equality exact also tells 1 from True from 1.0, and 0.0 from -0.0. A line
that cannot be understood is answered by {"id", "line", "error"}, and the rest is still done.

examples:
  azr verify answers.jsonl --output verdicts.jsonl
  azr verify --equality exact < answers.jsonl | jq -s 'map(if .correct then 1 else 0 end) | add / length'
"""


class Request(msgspec.Struct):
    """A line of the input; fields not named here are passed over."""

    task: str
    outputs: list[str]
    answer: str
    program: str = ""
    """Needed for abduction alone, whose answers are given to it."""
    inputs: list[str] = []
    id: msgspec.Raw = msgspec.Raw(b"null")

    def __post_init__(self) -> None:
        task_type(self.task)
        if self.task == "induction":
            if len(self.inputs) != len(self.outputs):
                raise ValueError(f"{len(self.inputs)} inputs beside {len(self.outputs)} outputs")
        elif self.task in ONE_PAIR and len(self.outputs) != 1:
            raise ValueError(f"{self.task} takes one output, not {len(self.outputs)}")
        elif not self.outputs:
            raise ValueError(f"{self.task} takes an output at least")
        elif self.task == "abduction" and not self.program.strip():  # or every answer would be an error of its own
            raise ValueError("abduction needs the field `program`, for the answer is what its f is called with")


class Answer(msgspec.Struct):
    """A line of the output."""

    id: msgspec.Raw
    correct: bool
    reason: str
    detail: str


class VerifyHandler:
    """Every line is one answer to one task."""

    request_type = Request

    def __init__(self, rules: VerifyRules) -> None:
        self._rules = rules

    def most_results(self, request: Request) -> int:
        """A run, or a reading, of each pair."""
        return result_bytes(max(len(request.inputs), len(request.outputs)), self._rules.limits)

    def plan(self, request: Request) -> Plan[Verdict]:
        """The verification of the line's task type."""
        task = Task(
            id="",
            task_type=request.task,
            program=request.program,
            inputs=tuple(request.inputs),
            outputs=tuple(request.outputs),
        )
        if request.task == "induction":  # the one type whose answers are run on the task's own inputs
            unreadable = yield from unreadable_input(task.inputs)
            if unreadable is not None:
                return unreadable
        return (yield from task_type(request.task).verify(task, request.answer, self._rules))

    def answer(self, request: Request, verdict: Verdict) -> Answer:
        """The verdict, as a line."""
        return Answer(request.id, verdict.correct, verdict.reason, verdict.detail)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_sandbox_arguments(parser)
    parser.add_argument(
        "--equality",
        choices=get_args(Equality),
        default=GatingConfig().equality,
        help="python: as == says, and nan equals nan; exact: type by type (default: python)",
    )
    parser.add_argument("--reasons", action="store_true", help="explain every reason of a verdict, and stop")


def run(arguments: argparse.Namespace) -> int:
    """Answer all lines."""
    if arguments.reasons:
        print(explained(*get_args(VerdictReason)))
        print("\nmalformed:WORD, where WORD is one of the parser's or the gate's reasons, or")
        print(explained(*get_args(MalformedReason)))
        return 0
    config = Config(gating=GatingConfig(equality=arguments.equality))
    rules = msgspec.structs.replace(VerifyRules.of(config), limits=limits_of(arguments))
    return stream(arguments, VerifyHandler(rules))
