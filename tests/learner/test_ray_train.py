"""Two FSDP2 ranks under real Ray Train: the same numbers as one rank, also when a rank is killed on the way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from learner.loop import run
from tests.learner.plans import curve, noted, plan
from tests.learner.tiny import save_tiny_model

STEPS, KILL_AFTER = 20, 7
CHECKOUT = Path(__file__).parents[2]


@pytest.mark.timeout(420)
def test_two_ranks_of_which_one_is_killed_give_the_curve_of_one_rank(tmp_path: Path) -> None:
    model = save_tiny_model(tmp_path / "model")
    alone = plan(model, tmp_path / "alone", steps=STEPS)
    run(alone, torch.device("cpu"))

    together = tmp_path / "together"
    together.mkdir()
    command = [
        sys.executable,
        "-m",
        "tests.learner.kill_a_rank",
        str(model),
        str(together),
        str(STEPS),
        str(KILL_AFTER),
    ]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "killed" in done.stdout, done.stderr[-3000:]

    assert len(noted(together, "take")) > STEPS, "the killed run must have asked for some steps again"
    one, two = curve(alone.folder), curve(together)
    assert sorted(two) == list(range(1, STEPS + 1))
    for step in one:
        assert two[step] == pytest.approx(one[step], abs=1e-5, rel=1e-5), f"step {step}"
