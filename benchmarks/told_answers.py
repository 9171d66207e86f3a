"""What would a run's own tasks teach whoever is told the answers? The control beside what it learned of rewards.

Every task that a run accepted carries a right answer, which the run itself never shows the model: it tells only which
of its attempts were right. Here the base is told, and learns the answers by likelihood.

    runs/learning/default-N/tasks.jsonl ──► pairs of prompt and right answer ──► azr sft ──► azr export ──┐
            └── evaluations.jsonl: what the run gained            the base's held-out answers ──► gain ◄──┘

Where a run gains as much as that or more, it is not rewards that it lacks, but tasks.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from azr.bench import Report
from azr.cli.numbers import positive, whole
from azr.config import load
from azr.decoding import UNDECODABLE
from azr.errors import AzrError
from azr.game import play
from azr.game.frames import frame
from azr.game.tasks import task_type
from azr.game.types import Task
from azr.run.batches import RatedTask
from azr.run.evaluation import Evaluation
from azr.run.folder import RunFolder
from azr.text import shortened
from azr.tiny.evaluation import evaluate_folder
from azr.tiny.held_out import TASKS
from azr.tiny.shipped import resolve
from benchmarks.run_folder import Outcome, outcome
from learner.supervised import Pair

SUMMARY = "held-out accuracy gained by being told the right answers to a run's own tasks, beside what the run gained"

#: What stands around the prompts and answers of models that may answer at once.
FRAME = "compact"
#: Twice a step of the embedded model's pretraining.
TOKENS_PER_STEP = 4096
#: Training on the tasks of an hour takes some minutes.
COMMAND_SECONDS = 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare whose tasks, and how they are learned."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of finished runs")
    parser.add_argument("--passes", type=positive(), default=3.0, help="over the tasks (default: %(default)s)")
    parser.add_argument("--lr", type=positive(), nargs="+", default=[2e-4], help="peak learning rates (default: 2e-4)")
    parser.add_argument(
        "--tasks", type=whole(1), default=TASKS, help="held-out tasks of each type (default: %(default)s)"
    )
    parser.add_argument("--samples", type=whole(0), default=4, help="sampled answers a task (default: %(default)s)")


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Tell each run's answers to its own base, and what both gained."""
    report.settings |= {"passes": arguments.passes, "runs": " ".join(run.name for run in arguments.runs)}
    gained: dict[str, list[Outcome]] = {}
    for folder in arguments.runs:
        done, base = begun_with(folder)
        gained.setdefault("the run", []).append(done)
        report.progress(f"{folder.name}: the base")
        before = evaluated(base, 0, arguments)
        with tempfile.TemporaryDirectory(prefix="azr-told-") as name:
            pairs = Path(name) / "pairs.jsonl"
            count = write_pairs(pairs, RunFolder(folder).tasks)
            report.note(f"{folder.name}: {count:,} tasks")
            for lr in arguments.lr:
                report.progress(f"{folder.name}: told, {lr:g}")
                model = trained(Path(name) / f"{lr:g}", base, pairs, lr=lr, passes=arguments.passes)
                told = Outcome(folder, [before, evaluated(model, 1, arguments)], [])
                gained.setdefault(f"told at {lr:g}", []).append(told)
    for name, outcomes in gained.items():
        tell(report, name, outcomes)


def tell(report: Report, name: str, outcomes: Sequence[Outcome]) -> None:
    """What was gained, run by run: over all task types, and sampled by type."""
    for sampling in ("sampled", "greedy"):
        report.measure(f"{name}: gain {sampling}", "points", [one.gain(sampling) for one in outcomes])
    for kind in outcomes[0].gains_by_type("sampled"):
        gains = [one.gains_by_type("sampled")[kind] for one in outcomes]
        report.measure(f"{name}: gain sampled, {kind}", "points", gains)


def begun_with(folder: Path) -> tuple[Outcome, Path]:
    """What a finished run left, and the model it began with."""
    done, config_path = outcome(folder), RunFolder(folder).config
    if done is None or not config_path.exists():
        raise AzrError(f"{folder} is no finished run", "azr bench learning --arms default --seeds 1 makes one")
    model = load([str(config_path)]).model
    if model.frame != FRAME:
        raise AzrError(
            f"{folder} played in the frame {model.frame}, in which an answer must follow a thought",
            f"name runs of a model that may answer at once (model.frame: {FRAME})",
        )
    return done, Path(resolve(model.path))


def write_pairs(path: Path, tasks: Path) -> int:
    """Write the run's tasks as pairs of prompt and right answer; how many there are."""
    count = 0
    with path.open("wb") as file:
        for pair in pairs_of(tasks):
            file.write(msgspec.json.encode(pair) + b"\n")
            count += 1
    if not count:
        raise AzrError(f"{tasks} holds no task with its answer", "name runs that trained on tasks of their own")
    return count


def pairs_of(tasks: Path) -> Iterator[Pair]:
    """The pairs, in the order in which the run trained on their tasks; half a line of a crash is passed over."""
    for line in tasks.read_bytes().splitlines() if tasks.exists() else []:
        try:
            task = msgspec.json.decode(line, type=RatedTask).task
        except UNDECODABLE:
            continue
        if (answer := answer_of(task)) is not None:
            yield Pair(play.solve_prompt(task, task_type(task.task_type), frame(FRAME)), answer)


def answer_of(task: Task) -> str | None:
    """A right answer to a task; None for types of which none is known here."""
    match task.task_type:
        case "deduction":
            return task.outputs[0]
        case "abduction":
            return task.inputs[0]
        case "induction":
            return task.program
    return None


def trained(folder: Path, base: Path, pairs: Path, *, lr: float, passes: float) -> Path:
    """The base after these pairs, as a model folder."""
    run, model = folder / "run", folder / "model"
    settings = [f"--lr={lr}", f"--epochs={passes}", f"--tokens-per-step={TOKENS_PER_STEP}"]
    azr("sft", str(pairs), f"--model={base}", f"--out={run}", *settings)
    azr("export", str(run), str(model), "--dtype", "float32")
    return model


def azr(*words: str) -> None:
    """Carry out a command of azr's in a process of its own; what it said last is told if it fails."""
    command = [sys.executable, "-m", "azr.cli.main", *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=COMMAND_SECONDS)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise AzrError(f"azr {words[0]} failed: {shortened(said[-400:], 400)}", "see above")


def evaluated(model: Path, step: int, arguments: argparse.Namespace) -> Evaluation:
    """The held-out answers of a model folder, before (0) or after it was told anything."""
    began = time.monotonic()
    rows = evaluate_folder(model, tasks=arguments.tasks, samples=arguments.samples, workers=None)
    return Evaluation(step=step, seconds=time.monotonic() - began, rows=rows)
