"""What a run says when it ends: what was learned, where everything lies, what to try next. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from azr.run.console import Goal, clock
from azr.run.evaluation import Evaluation, change_rows


class Ending(NamedTuple):
    """How a run ended."""

    status: str
    """`finished`, `stopped` or `failed`."""
    reason: str
    step: int
    seconds: float


def learned(evaluations: Sequence[Evaluation]) -> list[tuple[str, ...]]:
    """The table of what changed between the first and the last evaluation; empty when there are no two."""
    if len(evaluations) < 2 or evaluations[-1].step <= evaluations[0].step:
        return []
    return change_rows(evaluations[0].rows, evaluations[-1].rows)


def closing_lines(ending: Ending, folder: Path, goal: Goal, mlflow_uri: str, mlflow_id: str, mlflow: bool) -> list[str]:
    """Where everything lies, and what to try next."""
    lines = [
        f"{ending.status} after {ending.step} steps in {clock(ending.seconds)}: {ending.reason}",
        f"run        {folder}",
    ]
    if mlflow:
        where = f"{mlflow_uri} run {mlflow_id}" if mlflow_id else f"{mlflow_uri} did not take the run"
        lines.append(f"mlflow     {where}")
        if mlflow_id and mlflow_uri.startswith("sqlite"):
            lines.append(f"           mlflow ui --backend-store-uri {mlflow_uri}")
    more = f" run.minutes={max(1, round(2 * goal.seconds / 60))}" if goal.seconds else ""
    more = more or (f" run.steps={2 * goal.steps}" if goal.steps else "")
    lines += [
        "next       " + f"azr train --resume {folder}{more}",
        f"           azr export {folder} ./model          a model folder for transformers and vLLM",
        "           azr train --config tiny run.name=sync staleness.max_staleness=0     the synchronous baseline",
        "           azr train --config tiny run.name=paper algorithm=paper              the published algorithm",
    ]
    return lines
