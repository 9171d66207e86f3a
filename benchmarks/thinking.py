"""Does thinking pay? Held-out answers of a model that is left to choose, must answer outright, or must think first.

    held-out tasks ──► the same prompts three times ──► judged in the sandbox ──► share right, by type and steps
                        free │ no thought │ a thought

What self-play can gain by thinking more is what the third column has over the first. A model that has played shows how
much of that it took: its free answers are as right as its best.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from azr.bench import Report
from azr.cli.numbers import whole
from azr.game.frames import begins_with_thought
from azr.game.plan import drive_many
from azr.tiny.evaluation import Question, Respond, questions, responder
from azr.tiny.held_out import TASKS
from azr.tiny.shipped import model_folder
from sandbox_wasm.pool import open_sandbox
from sandbox_wasm.protocol import Sandbox

SUMMARY = "held-out answers of a model free to choose, without a thought, and after one"

#: How answers are begun, and what that is called.
WAYS: dict[str, bool | None] = {"free": None, "outright": False, "after a thought": True}

#: Types whose answers the embedded model's corpus works out; a program is its own working.
CELLS = ("deduction/solve", "abduction/solve")

#: A line of a program that is a step.
_STEP = re.compile(r"^ (?:a=|return )", re.MULTILINE)


class Answered(NamedTuple):
    """The answers to one question in one way."""

    right: np.ndarray
    thought: np.ndarray
    """Of each answer, whether it is right and whether it began with a thought."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which model, and how many answers."""
    parser.add_argument("model", nargs="?", default="tiny", help="`tiny` or a model folder (default: %(default)s)")
    parser.add_argument(
        "--tasks", type=whole(1), default=TASKS, help="held-out tasks of each type (default: %(default)s)"
    )
    parser.add_argument("--samples", type=whole(1), default=4, help="sampled answers a task (default: %(default)s)")
    parser.add_argument("--workers", type=whole(1), default=None, help="sandbox processes (default: all cores)")


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Ask every question in each way."""
    folder = model_folder(arguments.model)
    report.settings |= {"model": arguments.model, "tasks": arguments.tasks, "samples": arguments.samples}
    asked = [
        question
        for question in questions(tasks=arguments.tasks, samples=arguments.samples, proposals=False)
        if question.cell in CELLS
    ]
    with open_sandbox("wasm", workers=arguments.workers) as sandbox:
        for way, thought in WAYS.items():
            respond = responder(folder, thought=thought)
            for question in asked:
                report.progress(f"{way}: {question.difficulty} {question.cell} {question.sampling}")
                for name, unit, value in told(question, way, answers(question, respond, sandbox)):
                    report.measure(name, unit, [value])


def answers(question: Question, respond: Respond, sandbox: Sandbox) -> Answered:
    """Ask one question, and judge what comes."""
    responses = respond(question.prompts, question.temperature)
    judged = drive_many(question.plans(responses), sandbox)
    right = np.array([verdict.correct for verdict in judged])
    return Answered(right, np.array([begins_with_thought(response) for response in responses]))


def told(question: Question, way: str, answered: Answered) -> Iterator[tuple[str, str, float]]:
    """What one question shows: the share that is right, of all tasks and by their steps, and the share that thinks."""
    name = f"{question.difficulty} {question.cell} {question.sampling}, {way}"
    yield name, "% right", 100.0 * float(answered.right.mean())
    if way == "free":
        yield f"{name}: begin with a thought", "%", 100.0 * float(answered.thought.mean())
    steps = np.array(steps_of(question.prompts))
    for number in sorted(set(steps.tolist())):
        yield f"{name}: of {number} steps", "% right", 100.0 * float(answered.right[steps == number].mean())


def steps_of(prompts: Sequence[str]) -> list[int]:
    """The steps of the program in each prompt; both ways of a branch count as one."""
    return [len(_STEP.findall(prompt)) for prompt in prompts]
