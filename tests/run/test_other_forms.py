"""A whole run of other forms than the default's, all at once because each start costs half a minute.

The published algorithm, two learner ranks, engines of their own for proposing and for solving, and a tracking server
that never answers.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from azr.run.seeds import read_seeds
from azr.run.tracking.json_lines import read_lines
from tests.run.whole import CHECKOUT, PATIENCE_SECONDS, WholeRun, card

pytestmark = pytest.mark.timeout(900)

STEPS = 3


class Ended(NamedTuple):
    """A run that is over."""

    run: WholeRun
    status: int


@pytest.fixture(scope="module")
def silent_server() -> Iterator[str]:
    """A server that takes every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, silent_server: str) -> Iterator[Ended]:
    runs = tmp_path_factory.mktemp("site") / "runs"
    runs.mkdir()
    run = WholeRun.begin(
        runs,
        "paper",
        "algorithm=paper",
        "algorithm.batch.propose=4",
        "algorithm.batch.solve=4",
        "learner.ranks=2",
        "rollout.separate_roles=true",
        f"run.steps={STEPS}",
        "evaluation.after=false",
        f"tracking.mlflow={silent_server}",
        "tracking.timeout_seconds=1",
    )
    try:
        yield Ended(run, run.end())
    finally:
        run.tear_down()


def test_the_published_algorithm_runs_to_its_end_on_two_ranks(ended: Ended) -> None:
    assert ended.status == 0, ended.run.said[-4000:]
    assert f"finished after {STEPS} steps" in ended.run.said
    assert ended.run.steps() == [1, 2, 3]
    checkpoint = max((ended.run.folder / "checkpoints").iterdir())
    assert {path.name.partition("_")[2] for path in checkpoint.glob("*.distcp")} >= {"0_0.distcp", "1_0.distcp"} or (
        len(list(checkpoint.glob("*.distcp"))) == 2
    ), "each rank wrote its part"


def test_it_is_synchronous_and_takes_what_was_published(ended: Ended) -> None:
    lines = read_lines(ended.run.folder / "metrics.jsonl")
    ages = [value for line in lines for name, value in line.items() if name.startswith("off_policy/staleness/")]
    assert ages
    assert max(age for age in ages if age is not None) == 0.0
    for line in lines:
        if "learner/step" not in line:  # the evaluation's
            continue
        taken = {name: value for name, value in line.items() if name.startswith("batch/sequences/")}
        assert set(taken.values()) == {4.0}, "four proposals and four attempts of each type"
        assert len(taken) == 6


def test_engine_and_two_ranks_agree(ended: Ended) -> None:
    gaps = [line.get("off_policy/mismatch_k3") for line in read_lines(ended.run.folder / "metrics.jsonl")]
    assert max(gap for gap in gaps if gap is not None) < 1e-6


def test_each_role_is_answered_by_engines_of_its_own(ended: Ended) -> None:
    names = {name.rpartition("/")[2] for line in read_lines(ended.run.folder / "metrics.jsonl") for name in line}
    pools = {name.partition("-")[0] for name in names if name.startswith(("propose-", "solve-", "shared-"))}
    assert pools == {"propose", "solve"}
    made = read_lines(ended.run.folder / "metrics.jsonl")[-1]
    assert made["rollout/replicas"] == 2.0


def test_a_tracking_server_that_never_answers_is_said_and_costs_the_run_nothing_but_its_reports(ended: Ended) -> None:
    assert "mlflow does not answer (" in ended.run.said
    assert "reports were lost; metrics.jsonl in the run's folder holds them all" in ended.run.said
    assert "did not take the run" in ended.run.said
    assert card(ended.run.folder)["mlflow"] == ""


def azr(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command, in a folder of its own."""
    return subprocess.run(
        [sys.executable, "-m", "azr.cli.main", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@pytest.mark.soak
def test_what_it_trained_is_evaluated_through_the_engine(ended: Ended, tmp_path: Path) -> None:
    done = azr(tmp_path, "eval", str(ended.run.folder), "--tasks", "3", "--samples", "1", "--output", "table.json")
    assert done.returncode == 0, done.stderr[-4000:]
    rows = json.loads((tmp_path / "table.json").read_text())
    solved = [row for row in rows if row["cell"].endswith("/solve") and row["difficulty"] == "common"]
    assert max(row["right"] for row in solved) > 0.0


@pytest.mark.soak
def test_it_is_resumed_on_one_rank_with_one_engine_for_both_roles_and_no_tracking_server_at_all(ended: Ended) -> None:
    again = WholeRun.resume(
        ended.run.folder.parent,
        "paper",
        f"run.steps={STEPS + 2}",
        "learner.ranks=1",
        "rollout.separate_roles=false",
        "tracking.mlflow=http://127.0.0.1:9",
    )
    try:
        assert again.end() == 0, again.said[-4000:]
    finally:
        again.tear_down()
    assert again.steps() == list(range(1, STEPS + 3))
    last = read_lines(again.folder / "metrics.jsonl")[-1]
    assert last["rollout/replicas"] == 1.0
    assert again.said.count("mlflow does not answer (") == 2
    assert card(again.folder)["starts"] == 2


@pytest.mark.soak
def test_a_model_makes_seeds_for_later_runs(tmp_path: Path) -> None:
    words = ("seed", "make", "tiny", "--config", "tiny", "seeding.triplets=5", "seeding.inductions=4")
    done = azr(tmp_path, *words, "--output", "seeds.jsonl")
    assert done.returncode == 0, done.stderr[-4000:]
    assert "14 tasks -> seeds.jsonl" in done.stderr, "five triplets are ten tasks"
    tasks = read_seeds(tmp_path / "seeds.jsonl", ["deduction", "abduction", "induction"])
    assert [task.task_type for task in tasks] == ["deduction"] * 5 + ["abduction"] * 5 + ["induction"] * 4
