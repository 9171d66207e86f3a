"""The rules of the game load neither Ray, torch nor vLLM: they run, and are tested, anywhere and at once."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("ray", "torch", "vllm", "transformers", "mlflow")

PURE = (
    "azr.game.play",
    "azr.game.rewards",
    "azr.game.batch",
    "azr.advantages.report",
    "azr.metrics",
    "azr.buffers.task_buffer",
    "azr.journal.durable",
)


def test_pure_parts_load_nothing_heavy() -> None:
    script = f"import {', '.join(PURE)}, sys; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == ""
