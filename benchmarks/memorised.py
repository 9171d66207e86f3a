"""Skill or memory? New tasks from both sides of the split, answered by one model, by the steps of their programs.

    grammar ──► world ──┬─ programs of the kind it was trained on ─┬─► tasks of each type ──► answers ──► share right
                        └─ held out, which it has never met ───────┘

Where the sides are answered alike, a model knows how programs work; where they are not, it knows which programs there
are. Held-out tasks are to be of the first kind, or what self-play brings would not show in them: `azr.tiny.held_out`
leaves out what this shows to be memory.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import numpy as np

from azr.bench import Report
from azr.cli.numbers import whole
from azr.game.plan import drive_many
from azr.game.types import Task
from azr.tiny.corpus import task_of
from azr.tiny.evaluation import Respond, responder, solving
from azr.tiny.grammar import COMMON
from azr.tiny.held_out import KINDS
from azr.tiny.shipped import model_folder
from azr.tiny.world import specimens
from sandbox_wasm.pool import open_sandbox
from sandbox_wasm.protocol import Sandbox

SUMMARY = "new tasks of seen and of held-out programs: what a model knows, and what it remembers"

#: Sides of the split, and whether their programs are held out.
SIDES = {"seen": False, "held out": True}

#: Seed of the draws; unlike that of any corpus or file.
_SEED = 41


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which model, and how many tasks."""
    parser.add_argument("model", nargs="?", default="tiny", help="`tiny` or a model folder (default: %(default)s)")
    parser.add_argument(
        "--tasks", type=whole(1), default=200, help="of each type, side and number of steps (default: %(default)s)"
    )
    parser.add_argument("--workers", type=whole(1), default=None, help="sandbox processes (default: all cores)")


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Draw the tasks of both sides, and ask them."""
    folder = model_folder(arguments.model)
    report.settings |= {"model": arguments.model, "tasks": arguments.tasks}
    respond = responder(folder)
    with open_sandbox("wasm", workers=arguments.workers, instances="restored") as sandbox:
        for side, held_out in SIDES.items():
            report.progress(f"{side}: drawing programs")
            for (kind, steps), tasks in sorted(drawn(sandbox, held_out=held_out, tasks=arguments.tasks).items()):
                report.progress(f"{side}: {kind}, {steps} steps")
                name = f"{kind} of {steps} steps, {side}"
                report.measure(name, "% right", [right(tasks, respond, sandbox)])
                report.measure(f"{name}: programs", "programs", [len({task.normal_form for task in tasks})])


def drawn(sandbox: Sandbox, *, held_out: bool, tasks: int) -> dict[tuple[str, int], list[Task]]:
    """So many tasks of each type and number of steps, of one side; of programs without a branch."""
    steps = range(1, len(COMMON.steps) + 1)
    found: dict[tuple[str, int], list[Task]] = defaultdict(list)
    stream = specimens(sandbox, np.random.default_rng([_SEED, held_out]), held_out=held_out)
    while any(len(found[kind, number]) < tasks for kind in KINDS for number in steps):
        specimen = next(stream)
        if specimen.program.branches:
            continue  # with one step there are many of these, and those without are what may be remembered
        for kind in KINDS:
            if len(cell := found[kind, specimen.program.steps]) < tasks:
                cell.append(task_of(kind, specimen))
    return found


def right(tasks: list[Task], respond: Respond, sandbox: Sandbox) -> float:
    """Percentage of tasks of one type that are answered right, greedy."""
    question = solving("common", tasks[0].task_type, "greedy", tasks)
    judged = drive_many(question.plans(respond(question.prompts, 0.0)), sandbox)
    return 100.0 * float(np.mean([verdict.correct for verdict in judged]))
