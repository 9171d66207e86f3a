"""Which reports stand after a resume: every path through a file is a list of steps, told by hand."""

from __future__ import annotations

import pytest

from azr.metrics.told import Standing


def standing(*told: int | str, newest: int | None = None) -> list[int | str]:
    """Numbers end steps, "e7" is an evaluation of the weights of step 7."""
    kept = Standing[int | str](newest)
    for line in told:
        kept.add(int(str(line).removeprefix("e")), line, ends_step=isinstance(line, int))
    return kept.lines()


@pytest.mark.parametrize(
    ("told", "stand"),
    [
        ((), []),
        ((1, 2, 3), [1, 2, 3]),
        ((9, 10, 11, 12, 11), [9, 10, 11]),
        ((9, 10, 11, 12, 11, 12, 13), [9, 10, 11, 12, 13]),
        ((1, 2, 3, 2, 1, 2), [1, 2]),
        ((1, 2, 4, 5), [1, 2, 4, 5]),
    ],
    ids=[
        "nothing",
        "one driver",
        "at step 10, not yet at 12",
        "at step 10, beyond",
        "twice",
        "a step without a report",
    ],
)
def test_a_step_that_ends_again_begins_another_path(told: tuple[int, ...], stand: list[int]) -> None:
    assert standing(*told) == stand


def test_an_evaluation_ends_no_step() -> None:
    assert standing("e0", 1, 2, "e2", 3) == ["e0", 1, 2, "e2", 3]


def test_an_evaluation_goes_with_the_weights_it_is_of() -> None:
    assert standing("e0", 1, 2, 3, "e3", 2) == ["e0", 1, 2]
    assert standing("e0", 1, 2, "e2", 3, 3) == ["e0", 1, 2, "e2", 3]


def test_an_evaluation_of_a_later_step_is_what_a_step_told_again_is_judged_by() -> None:
    assert standing(1, 2, "e4", 3) == [1, 2, 3]


def test_only_the_newest_are_kept_where_a_number_is_given() -> None:
    assert standing(1, 2, 3, 4, newest=2) == [3, 4]
    assert standing(1, 2, 3, 4, 3, newest=2) == [3], "what was let go before does not come back"
