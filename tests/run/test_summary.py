"""The last words of a run: what was learned, where things lie, what to try next."""

from __future__ import annotations

from pathlib import Path

from azr.run.console import Goal
from azr.run.evaluation import Evaluation
from azr.run.summary import Ending, closing_lines, learned
from tests.run.test_evaluation import AFTER, BEFORE

RUN = Path("/runs/tiny")
ENDING = Ending("finished", "its time is over", 120, 605.0)


def closing(
    goal: Goal, *, mlflow_uri: str = "", mlflow_id: str = "", mlflow: bool = False, embedded: bool = True
) -> list[str]:
    return closing_lines(
        ENDING, RUN, goal, mlflow_uri=mlflow_uri, mlflow_id=mlflow_id, mlflow=mlflow, embedded=embedded
    )


def test_where_everything_lies_and_what_to_try_next() -> None:
    lines = closing(Goal(seconds=600.0), mlflow_uri="sqlite:////runs/mlflow.db", mlflow_id="abc", mlflow=True)
    assert lines[0] == "finished after 120 steps in 10:05: its time is over"
    text = "\n".join(lines)
    assert "mlflow ui --backend-store-uri sqlite:////runs/mlflow.db" in text
    assert "azr train --resume /runs/tiny run.minutes=20" in text
    assert "azr export /runs/tiny" in text


def test_a_run_by_steps_goes_on_by_steps() -> None:
    lines = closing(Goal(steps=120))
    assert any("run.steps=240" in line for line in lines)
    assert not any("mlflow" in line for line in lines)


def test_a_run_goes_on_by_more_of_the_bound_that_it_has_reached() -> None:
    lines = closing(Goal(steps=120, seconds=3600.0))
    assert "next       azr train --resume /runs/tiny run.steps=240" in lines
    lines = closing(Goal(steps=500, seconds=3600.0))
    assert "next       azr train --resume /runs/tiny" in lines, "it was stopped before: nothing keeps it from going on"


def test_a_server_that_never_answered_is_said() -> None:
    lines = closing(Goal(), mlflow_uri="http://nowhere:5000", mlflow=True)
    assert "mlflow     http://nowhere:5000 did not take the run" in lines


def test_what_else_to_play_with_the_embedded_model_is_told_to_who_has_played_with_it() -> None:
    assert any("--config tiny" in line for line in closing(Goal()))
    assert not any("tiny run.name" in line for line in closing(Goal(), embedded=False))


def test_learned_is_told_between_the_first_and_the_last_evaluation() -> None:
    first, middle, last = (
        Evaluation(step=step, seconds=1.0, rows=rows) for step, rows in ((0, BEFORE), (5, BEFORE), (9, AFTER))
    )
    table = learned([first, middle, last], 9)
    assert table is not None
    assert table.columns == ("tasks", "cell", "sampling", "step 0", "step 9", "points", "length")
    assert ("common", "deduction/solve", "greedy", "50.0%", "60.0%", "+10.0", "5 → 6") in table.rows
    assert learned([first], 0) is None
    assert learned([first, first], 0) is None, "nothing was trained between them"


def test_an_evaluation_of_an_earlier_driver_is_not_told_as_this_ones_result() -> None:
    """A run finished at step 9, was resumed, and stopped by hand: nobody evaluated the weights of step 14."""
    first, last = (Evaluation(step=step, seconds=1.0, rows=rows) for step, rows in ((0, BEFORE), (9, AFTER)))
    assert learned([first, last], 14) is None
    assert learned([first, last], 7) is None, "resumed from an earlier checkpoint"
