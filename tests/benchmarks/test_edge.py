"""How near proposals lie to the edge of what the solver can do, by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.edge import Edge, Kind, Rated, edge, ends, read_rated


def rating(step: int, right: int, attempts: int, kind: str = "deduction", name: str = "x") -> Rated:
    return Rated(step, Kind(name, kind), right, attempts)


def test_a_task_solved_half_of_the_time_is_at_the_edge_and_one_that_never_or_always_is_solved_is_not() -> None:
    assert edge([rating(0, 4, 8)]) == Edge(1, 1.0, 1.0, 0.5)
    assert edge([rating(0, 0, 8), rating(0, 8, 8)]) == Edge(2, 0.0, 0.0, 0.5)


def test_by_hand() -> None:
    """p = 1/4, 1, 1/2, 0: 4 p (1 - p) = 3/4, 0, 1, 0."""
    rated = [rating(0, 2, 8), rating(0, 8, 8), rating(0, 2, 4), rating(0, 0, 4)]
    assert edge(rated) == (4, 0.5, pytest.approx(1.75 / 4), pytest.approx(1.75 / 4))


def test_types_count_alike_however_many_of_each_there_are() -> None:
    """Deduction: 1, 1 and 1; induction: 0. Over all it would be 3/4."""
    rated = [*[rating(0, 4, 8)] * 3, rating(0, 0, 8, "induction")]
    assert edge(rated) == Edge(4, 0.5, 0.5, 0.25)


def test_nothing_that_was_rated_lies_nowhere() -> None:
    assert edge([]) is None
    assert edge([rating(0, 0, 0)]) is None


def test_the_first_and_the_last_fifth_of_the_steps_are_its_ends() -> None:
    """Of ten steps 0 and 1 are the first fifth, 8 and 9 the last."""
    rated = [rating(step, right, 2) for step, right in enumerate([0, 0, 1, 1, 1, 1, 1, 1, 2, 1])]
    assert ends(rated, 10) == (Edge(2, 0.0, 0.0, 0.0), Edge(2, 0.5, 0.5, 0.75))


def test_an_end_without_proposals_is_compared_with_nothing() -> None:
    assert ends([rating(0, 1, 2)], 10) is None
    assert ends([rating(9, 1, 2)], 10) is None
    assert ends([], 10) is None


def test_ratings_are_read_past_half_a_line(tmp_path: Path) -> None:
    (path := tmp_path / "tasks.jsonl").write_text(
        '{"step":3,"task":{"id":"x","task_type":"abduction"},"right":5,"attempts":8,"reward":0.9}\n'
        '{"step":4,"task":{"id\n'
    )
    assert read_rated(path) == [rating(3, 5, 8, "abduction")]
    assert read_rated(tmp_path / "none") == []


def test_steps_that_a_resume_does_again_count_once(tmp_path: Path) -> None:
    """Also where the step that was undone is the very one that is told again."""
    told = [(0, "a", 1), (1, "b", 2), (2, "c", 3), (2, "d", 4), (1, "b", 5), (2, "c", 6), (2, "e", 7), (2, "c", 8)]
    lines = [
        f'{{"step":{step},"task":{{"id":"{name}","task_type":"deduction"}},"right":{right},"attempts":8}}\n'
        for step, name, right in told
    ]
    (path := tmp_path / "tasks.jsonl").write_text("".join(lines))
    assert read_rated(path) == [
        rating(0, 1, 8, name="a"),
        rating(1, 5, 8, name="b"),
        rating(2, 8, 8, name="c"),
    ]
