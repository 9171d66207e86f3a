"""A run's folder is read whatever state a crash left it in."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import msgspec
import pytest

from azr.errors import AzrError
from azr.game.types import Task
from azr.report.history import ShownTask, read_figures, read_history
from azr.run.batches import RatedTask
from tests.report.folders import evaluation, make_run, task_line, write_lines


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "warm")


def test_numbers_become_series_by_metric_in_order_of_steps(run: Path) -> None:
    history = read_history(run)
    points = history.series["reward/mean/deduction/solve"]
    assert points[0] == (1.0, 1 / 30)
    assert [step for step, _ in points] == list(range(1, 31))
    assert history.steps == 30
    assert "at" not in history.series


def test_what_was_not_finite_is_left_out(run: Path) -> None:
    assert "off_policy/ess" not in read_history(run).series


def test_of_a_step_done_twice_the_last_counts(tmp_path: Path) -> None:
    write_lines(tmp_path / "metrics.jsonl", {"step": 2, "a": 1.0}, {"step": 1, "a": 2.0}, {"step": 2, "a": 3.0})
    assert read_history(tmp_path).series["a"] == [(1.0, 2.0), (2.0, 3.0)]


def told(step: int, value: float, driver: int) -> dict[str, float]:
    return {"step": step, "time/elapsed": 60.0 * step, "a": value, f"of/{driver}": value}


def test_steps_that_a_resume_left_behind_are_forgotten_also_before_they_are_done_again(tmp_path: Path) -> None:
    """Steps 1 to 5, then a resume from step 2 that has come to step 3."""
    write_lines(tmp_path / "metrics.jsonl", *(told(step, 1.0, 1) for step in range(1, 6)), told(3, 2.0, 2))
    history = read_history(tmp_path)
    assert history.steps == 3
    assert history.series["a"] == [(1.0, 1.0), (2.0, 1.0), (3.0, 2.0)]
    assert history.series["of/1"] == [(1.0, 1.0), (2.0, 1.0)], "nor does anything of the first step 3 stay beside it"


def test_evaluations_of_weights_that_are_gone_are_no_results(tmp_path: Path) -> None:
    """Evaluated at step 0 and 5; resumed from step 2, and come to step 6 without another."""

    def evaluated(step: int) -> dict[str, float]:
        return {"step": step, "time/evaluation": 3.0, "eval/accuracy/x": 0.5}

    first = [evaluated(0), *(told(step, 1.0, 1) for step in range(1, 6)), evaluated(5)]
    write_lines(tmp_path / "evaluations.jsonl", evaluation(0, 0.25), evaluation(5, 0.5))
    write_lines(tmp_path / "metrics.jsonl", *first)
    assert [one.step for one in read_history(tmp_path).evaluations] == [0, 5]
    write_lines(tmp_path / "metrics.jsonl", *first, *(told(step, 2.0, 2) for step in range(3, 7)))
    history = read_history(tmp_path)
    assert [one.step for one in history.evaluations] == [0]
    assert history.series["eval/accuracy/x"] == [(0.0, 0.5)]
    write_lines(tmp_path / "evaluations.jsonl", evaluation(0, 0.25), evaluation(5, 0.5), evaluation(4, 0.75))
    assert [(one.step, one.rows[1].right) for one in read_history(tmp_path).evaluations] == [(0, 0.25), (4, 0.75)]


def test_an_evaluations_own_line_adds_to_its_step(tmp_path: Path) -> None:
    write_lines(tmp_path / "metrics.jsonl", {"step": 3, "loss/policy": 1.0}, {"step": 3, "eval/accuracy/x": 0.5})
    assert read_history(tmp_path).series == {"loss/policy": [(3.0, 1.0)], "eval/accuracy/x": [(3.0, 0.5)]}


def test_figures_are_those_of_a_step_beside_the_first(run: Path) -> None:
    assert read_figures(run, 30) == {
        "common deduction/solve greedy, step 0": pytest.approx(0.35),
        "common deduction/solve greedy, step 30": pytest.approx(0.6),
        "common deduction/solve sampled, step 0": 0.25,
        "common deduction/solve sampled, step 30": 0.5,
    }


def test_a_single_evaluation_stands_alone(run: Path) -> None:
    write_lines(run / "evaluations.jsonl", evaluation(30, 0.5))
    assert set(read_figures(run, 30)) == {
        "common deduction/solve greedy, step 30",
        "common deduction/solve sampled, step 30",
    }


def test_answers_to_other_questions_are_no_figures_to_compare_with(run: Path) -> None:
    """`evaluation.tasks` was changed by a resume."""
    write_lines(run / "evaluations.jsonl", evaluation(0, 0.25, "eight tasks"), evaluation(30, 0.5, "fifty tasks"))
    assert set(read_figures(run, 30)) == {
        "common deduction/solve greedy, step 30",
        "common deduction/solve sampled, step 30",
    }


def test_weights_that_nobody_evaluated_have_no_figures(run: Path) -> None:
    """A checkpoint of step 20 is another model than the one that was evaluated at step 30."""
    assert read_figures(run, 20) == {}


def test_how_the_runs_own_tasks_went_is_told_of_the_ten_steps_before_a_checkpoint(tmp_path: Path) -> None:
    """A run of a published model has no held-out tasks, and a model card without a figure says nothing."""
    accuracy = "batch/accuracy/deduction"
    lines = [{"step": step, accuracy: step / 100, "batch/loss_weight/x": 1.0} for step in range(1, 31)]
    write_lines(tmp_path / "metrics.jsonl", *lines, {"step": 3, "batch/valid/induction": 0.5})
    assert read_figures(tmp_path, 20) == {"own tasks, accuracy deduction, last 10 steps": pytest.approx(0.155)}
    assert read_figures(tmp_path, 4) == {
        "own tasks, accuracy deduction, last 4 steps": pytest.approx(0.025),
        "own tasks, valid induction, last 1 steps": 0.5,
    }
    assert read_figures(tmp_path, 0) == {}


def test_figures_are_not_of_steps_that_were_undone(tmp_path: Path) -> None:
    """Steps 1 to 5, then a resume from step 2 that has come to step 4."""

    def line(step: int, accuracy: float) -> dict[str, float]:
        return {"step": step, "time/elapsed": 60.0 * step, "batch/accuracy/deduction": accuracy}

    first = [line(step, 0.0) for step in range(1, 6)]
    write_lines(tmp_path / "metrics.jsonl", *first, line(3, 0.5), line(4, 0.5))
    assert read_figures(tmp_path, 4) == {"own tasks, accuracy deduction, last 4 steps": 0.25}


def test_a_long_run_is_read_without_holding_its_lines_in_memory(tmp_path: Path) -> None:
    """Those of a hundred thousand steps are gigabytes as Python's objects, in a driver that is to write the report."""
    steps, names = 2000, [f"a/metric/of/{'a/rather/long/label' * 4}/{number}" for number in range(15)]
    path = tmp_path / "metrics.jsonl"
    path.write_text(
        "".join(
            f'{{"step":{step},"time/elapsed":{step},' + ",".join(f'"{name}":{step}.5' for name in names) + "}\n"
            for step in range(1, steps + 1)
        )
    )
    tracemalloc.start()
    try:
        read_figures(tmp_path, steps)
        _, of_figures = tracemalloc.get_traced_memory()
        history = read_history(tmp_path)
        _, of_history = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (history.steps, len(history.series)) == (steps, 16)
    assert of_history < path.stat().st_size
    assert of_figures < path.stat().st_size / 2, "a place for each line"


def test_tasks_are_drawn_evenly_and_all_are_counted(run: Path) -> None:
    write_lines(run / "tasks.jsonl", *(task_line(str(number), program=str(number)) for number in range(500)))
    history = read_history(run, tasks=50)
    assert history.task_count == 500
    numbers = [int(task.program) for task in history.tasks]
    assert len(set(numbers)) == 50
    assert 150 < sum(numbers) / 50 < 350
    assert history.tasks == read_history(run, tasks=50).tasks


def test_a_task_of_a_step_that_was_done_again_counts_once(run: Path) -> None:
    write_lines(run / "tasks.jsonl", *map(task_line, ["a", "b", "c", "b", "c", "d"]))
    history = read_history(run)
    assert history.task_count == 4
    assert [task.id for task in history.tasks] == ["a", "b", "c", "d"]


def test_tasks_are_read_as_a_run_writes_them(run: Path) -> None:
    task = Task(id="t", task_type="induction", program="def f(x): ...", inputs=("1",), outputs=("2",), message="adds")
    line = msgspec.json.encode(RatedTask(step=1, task=task, right=3, attempts=8, reward=0.5))
    (run / "tasks.jsonl").write_bytes(line + b"\n")
    assert read_history(run).tasks == [ShownTask("t", "induction", "def f(x): ...", ["1"], ["2"], "adds")]


def test_half_lines_and_lines_of_another_shape_are_passed_over(run: Path) -> None:
    for name in ("metrics.jsonl", "evaluations.jsonl", "flagged.jsonl", "tasks.jsonl"):
        with (run / name).open("ab") as file:
            file.write(b'[1, 2]\n\xff\xfe\n{"step": "x"}\n{"more": ' + b"[" * 200_000 + b'\n{"step": 31, "rewa')
    history = read_history(run)
    assert history.steps == 30
    assert len(history.evaluations) == 2


@pytest.mark.parametrize(
    "damaged", [b"{", b'{"name": "\xff"}', b'{"name": ' + b"[" * 200_000], ids=["no JSON", "no UTF-8", "nested"]
)
def test_a_card_that_cannot_be_read_is_left_out(damaged: bytes, run: Path) -> None:
    (run / "run.json").write_bytes(damaged)
    history = read_history(run)
    assert history.card == {}
    assert history.steps == 30


def test_a_folder_with_numbers_alone_is_enough(tmp_path: Path) -> None:
    write_lines(tmp_path / "metrics.jsonl", {"step": 1, "learner/lr": 0.5})
    history = read_history(tmp_path)
    assert read_figures(tmp_path, 1) == {}
    assert history.card == {}
    assert history.tasks == []


def test_a_folder_without_numbers_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(AzrError, match=r"holds no metrics\.jsonl"):
        read_history(tmp_path)
