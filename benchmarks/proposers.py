"""Did the proposer learn where the edge is? New proposals of a base and of what it became, before both as solvers.

    base ──► proposals ─┐                     ┌─ base ──────► p of each task ──► mean of 4 p (1 - p), share 0 < p < 1
                        ├─► gate ──► tasks ───┤
    trained ► proposals ┘                     └─ trained ───► p of each task ──► the same

In a run both players change, and a solver that grows sure of its answers takes tasks off the edge whoever proposes.
Here one solver at a time has the tasks of both proposers, drawn for this alone. A trained proposer may repeat what its
run had; the trained solver knows such tasks, which takes them off the edge: the difference is told too small rather
than too large. Programs of inductions are those of the same proposer's deductions. docs/decisions/learning-study.md has
what came out.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from azr.bench import Report
from azr.cli.numbers import whole
from azr.errors import AzrError
from azr.game import play
from azr.game.frames import frame
from azr.game.gate import GateRules
from azr.game.plan import drive_many
from azr.game.tasks import Ask, task_type
from azr.game.types import Task
from azr.tiny.evaluation import CutOff, Respond, responder, solving
from azr.tiny.held_out import KINDS
from azr.tiny.shipped import model_folder
from azr.tiny.world import PAIRS
from benchmarks.edge import Edge, Kind, Rated, edge
from benchmarks.learning import interval
from sandbox_wasm.pool import open_sandbox
from sandbox_wasm.protocol import Limits, Sandbox

SUMMARY = "new proposals of a base and of what self-play made of it, rated by both as solvers"

#: As in a run: attempts at each task that is rated.
ATTEMPTS = 8

#: Who proposes and who solves.
BEFORE, AFTER = "base", "trained"

#: Answers at a time: a small model's step costs hardly more for many.
_BATCH = 256

_LIMITS = Limits.of_seconds(0.5)


class Proposed(NamedTuple):
    """What one proposer's proposals came to."""

    tasks: dict[str, list[Task]]
    """Accepted ones by type, each once."""
    valid: float
    """Share of the proposals that is among them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which models, and how many proposals."""
    parser.add_argument("models", nargs="+", metavar="MODEL", help="folders that `azr export RUN FOLDER` made")
    parser.add_argument("--base", default="tiny", help="what they were begun from (default: %(default)s)")
    parser.add_argument("--proposals", type=whole(1), default=200, help="of each type (default: %(default)s)")
    parser.add_argument("--workers", type=whole(1), default=None, help="sandbox processes (default: all cores)")


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Let both propose and both solve, for each model."""
    folders = [model_folder(name) for name in (arguments.base, *arguments.models)]
    report.settings |= {"models": len(arguments.models), "proposals": arguments.proposals, "attempts": ATTEMPTS}
    found: dict[tuple[str, str], list[Edge]] = defaultdict(list)
    valid: dict[str, list[float]] = defaultdict(list)
    with open_sandbox("wasm", workers=arguments.workers, instances="restored") as sandbox:
        for number, folder in enumerate(folders[1:], 1):
            report.progress(f"model {number} and the base propose and solve")
            # The base anew for each: chance in what it proposed once would be in all differences, and in no interval.
            base, trained = (responder(one, batch=_BATCH, seed=number) for one in (folders[0], folder))
            for proposer, proposing in ((BEFORE, base), (AFTER, trained)):
                proposed = propose(proposing, sandbox, arguments.proposals)
                valid[proposer].append(proposed.valid)
                found[proposer, BEFORE].append(lie(proposed.tasks, base, sandbox))
                found[proposer, AFTER].append(lie(proposed.tasks, trained, sandbox))
    for proposer, shares in valid.items():
        report.measure(f"{proposer} proposes: accepted", "share", shares)
    tell(report, found)


def propose(respond: Respond, sandbox: Sandbox, count: int) -> Proposed:
    """So many proposals of each type, through the gate; each task once."""
    compact = frame("compact")
    rules = GateRules(limits=_LIMITS, induction_inputs=PAIRS, induction_shown=PAIRS // 2)
    tasks: dict[str, list[Task]] = {}
    for kind in KINDS:  # inductions last
        programs = tasks.get("deduction", [])
        if kind == "induction" and not programs:
            raise AzrError("not one deduction was accepted, so there is no program for inductions", "propose more")
        asks = [
            Ask(references=(programs[number % len(programs)],) if kind == "induction" else (), inputs=PAIRS)
            for number in range(count)
        ]
        family = task_type(kind)
        responses = respond([play.propose_prompt(family, ask, compact) for ask in asks], 1.0)
        judged = drive_many(
            [
                play.judge_proposal(family, response, ask, compact, rules)
                for response, ask in zip(responses, asks, strict=True)
                if not isinstance(response, CutOff)  # refused in a run, whatever it holds
            ],
            sandbox,
        )
        tasks[kind] = list({one.fingerprint: one for one in judged if isinstance(one, Task)}.values())
    return Proposed(tasks, sum(map(len, tasks.values())) / (count * len(tasks)))


def lie(tasks: Mapping[str, list[Task]], respond: Respond, sandbox: Sandbox) -> Edge:
    """Where these tasks lie for this solver."""
    ratings: list[Rated] = []
    for kind, of_kind in tasks.items():
        asked = solving("proposed", kind, "sampled", [task for task in of_kind for _ in range(ATTEMPTS)])
        judged = list(drive_many(asked.plans(respond(asked.prompts, asked.temperature)), sandbox))
        for number, task in enumerate(of_kind):
            right = sum(verdict.correct for verdict in judged[number * ATTEMPTS : (number + 1) * ATTEMPTS])
            ratings.append(Rated(step=0, task=Kind(task.id, kind), right=right, attempts=ATTEMPTS))
    found = edge(ratings)
    if found is None:
        raise AzrError("not one proposal was accepted", "propose more, or name a model that plays this game")
    return found


def tell(report: Report, found: Mapping[tuple[str, str], list[Edge]]) -> None:
    """Where each proposer's tasks lie for each solver, and by how much the trained one's lie nearer to the edge."""
    for (proposer, solver), lay in sorted(found.items()):
        name = f"{proposer} proposes, {solver} solves"
        report.measure(f"{name}: 4 p (1 - p)", "share", [one.learnable for one in lay])
        report.measure(f"{name}: solved at times", "share", [one.between for one in lay])
        report.measure(f"{name}: attempts right", "share", [one.solved for one in lay])
    for solver in (BEFORE, AFTER):
        nearer = [
            of_trained.learnable - of_base.learnable
            for of_trained, of_base in zip(found[AFTER, solver], found[BEFORE, solver], strict=True)
        ]
        report.measure(f"trained proposer less base, {solver} solves: 4 p (1 - p)", "share", nearer)
        if len(nearer) > 1:
            low, high = interval(nearer)
            report.note(f"{solver} solves: the proposers differ by {low:+.3f} to {high:+.3f} (90 % interval)")
        if solver == AFTER:
            report.goal(
                "4 p (1 - p) of what the trained proposes less the base's, for the trained solver",
                sum(nearer) / len(nearer),
                at_least=0.0,
            )
