"""A run's folder as a run leaves it, written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HOSTILE = "</pre><script>alert('x')</script><img src=http://evil.example/x.png> \x1b[2J \u202e"


def evaluation(step: int, right: float, asked: str = "") -> dict[str, Any]:
    rows = [
        {
            "difficulty": "common",
            "cell": "deduction/solve",
            "sampling": sampling,
            "responses": 128,
            "right": right + extra,
            "malformed": 0.031,
            "length": 20 * right,
            "asked": asked,
        }
        for sampling, extra in (("greedy", 0.1), ("sampled", 0.0))
    ]
    return {"step": step, "seconds": 3.0, "rows": rows}


def task_line(name: str, **task: Any) -> dict[str, Any]:
    """As `azr.run.batches.RatedTask` is written."""
    return {"step": 3, "task": {"id": name, **task}, "right": 2, "attempts": 8, "reward": 0.5}


def write_lines(path: Path, *records: Any) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def make_run(folder: Path, *, steps: int = 30) -> Path:
    """Thirty steps with hostile text wherever a model's text can stand."""
    folder.mkdir(parents=True, exist_ok=True)
    write_lines(
        folder / "metrics.jsonl",
        *(
            {
                "step": step,
                "at": 1.7e9 + step,
                "reward/mean/deduction/solve": step / steps,
                "reward/mean/abduction/propose": -step / steps,
                "off_policy/staleness/deduction/solve.mean": 1.5,
                "off_policy/staleness/deduction/solve.p95": 4.0,
                "off_policy/staleness/deduction/solve.max": 4.0,
                "off_policy/ess": None,
                "learner/step": step,
            }
            for step in range(1, steps + 1)
        ),
    )
    write_lines(folder / "evaluations.jsonl", evaluation(0, 0.25), evaluation(steps, 0.5))
    write_lines(
        folder / "flagged.jsonl",
        {
            "step": 4,
            "sample": "s1",
            "cell": "deduction/solve",
            "rule": "outwits",
            "before": HOSTILE,
            "found": HOSTILE,
            "after": HOSTILE,
            "quarantined": True,
        },
    )
    task = {"task_type": "deduction", "program": f"def f(x):\n    return {HOSTILE!r}", "inputs": ["1"]}
    task |= {"outputs": [HOSTILE], "message": HOSTILE}
    write_lines(folder / "tasks.jsonl", *(task_line(f"{HOSTILE}-{number}", **task) for number in range(100)))
    (folder / "config.yaml").write_text(f"run:\n  name: {folder.name}\nmodel:\n  path: '{HOSTILE!r}'\n")
    card = {"name": folder.name, "started": 1.7e9, "starts": 2, "not_evaluated": f"request eval-30-1: {HOSTILE}"}
    (folder / "run.json").write_text(json.dumps(card, indent=2))
    return folder
