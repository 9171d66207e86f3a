"""What a run says when it ends: what was learned, where everything lies, what to try next. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from azr.run.console import Goal, clock
from azr.run.evaluation import Evaluation, change_columns, change_rows
from azr.run.stopping import raised


class Ending(NamedTuple):
    """How a run ended."""

    status: str
    """`finished`, `stopped` or `failed`."""
    reason: str
    step: int
    seconds: float


class Learned(NamedTuple):
    """The table of what held-out tasks say of a run."""

    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def learned(evaluations: Sequence[Evaluation], step: int) -> Learned | None:
    """What changed between the first evaluation and the last; None when there are no two of the same
    questions, or the last is not of the step at which the run ended: it is an earlier driver's, and says nothing of the
    weights there are now."""
    if len(evaluations) < 2 or not evaluations[0].step < evaluations[-1].step == step:
        return None
    first, last = evaluations[0], evaluations[-1]
    rows = change_rows(first.rows, last.rows)
    return Learned(change_columns(first.step, last.step), rows) if rows else None


def closing_lines(
    ending: Ending, folder: Path, goal: Goal, *, mlflow_uri: str, mlflow_id: str, mlflow: bool, embedded: bool
) -> list[str]:
    """Where everything lies, and what to try next; two things more for who has played with the embedded model."""
    lines = [
        f"{ending.status} after {ending.step} steps in {clock(ending.seconds)}: {ending.reason}",
        f"run        {folder}",
    ]
    if mlflow:
        where = f"{mlflow_uri} run {mlflow_id}" if mlflow_id else f"{mlflow_uri} did not take the run"
        lines.append(f"mlflow     {where}")
        if mlflow_id and mlflow_uri.startswith("sqlite"):
            lines.append(f"           mlflow ui --backend-store-uri {quote(mlflow_uri)}")
    more = raised(steps=goal.steps, minutes=goal.seconds / 60, step=ending.step, seconds=ending.seconds)
    lines += [
        "next       " + f"azr train --resume {quote(str(folder))} {more}".rstrip(),
        f"           azr export {quote(str(folder))} ./model          a model folder for transformers and vLLM",
    ]
    if embedded:
        lines += [
            "           azr train --config tiny run.name=sync staleness.max_staleness=0     the synchronous baseline",
            "           azr train --config tiny run.name=paper algorithm=paper              the published algorithm",
        ]
    return lines
