"""Where tokens of a packed row lie, and what each segment sees."""

from __future__ import annotations

import numpy as np

from learner.layout import LENGTH_BUCKET, Tree, layout


def test_three_plain_sequences_see_themselves() -> None:
    result = layout([Tree(2), Tree(1), Tree(3)])
    assert result.cumulative_queries.tolist() == result.cumulative_keys.tolist() == [0, 2, 3, 6]
    assert result.cumulative_queries.dtype == result.cumulative_keys.dtype == np.int32
    assert result.key_places is None, "nothing need be gathered"
    assert result.positions.tolist() == [0, 1, 0, 0, 1, 2]
    assert result.longest_queries == result.longest_keys == LENGTH_BUCKET


def test_branches_see_the_trunk_and_themselves() -> None:
    """The row of the module's diagram: p p p p a a a b b, and a plain sequence behind it."""
    result = layout([Tree(4, (3, 2)), Tree(1)])
    assert result.cumulative_queries.tolist() == [0, 4, 7, 9, 10]
    assert result.cumulative_keys.tolist() == [0, 4, 11, 17, 18]
    assert result.key_places is not None
    assert result.key_places.tolist() == [0, 1, 2, 3, *[0, 1, 2, 3, 4, 5, 6], *[0, 1, 2, 3, 7, 8], 9]
    assert result.positions.tolist() == [0, 1, 2, 3, 4, 5, 6, 4, 5, 0]


def test_a_branch_without_tokens_has_no_segment() -> None:
    result = layout([Tree(2, (0, 1, 0))])
    assert result.cumulative_queries.tolist() == [0, 2, 3]
    assert result.cumulative_keys.tolist() == [0, 2, 5]


def test_longest_lengths_are_rounded_to_a_bucket_each_for_itself() -> None:
    result = layout([Tree(LENGTH_BUCKET, (1,))])
    assert (result.longest_queries, result.longest_keys) == (LENGTH_BUCKET, 2 * LENGTH_BUCKET)


def test_no_trees_make_an_empty_row() -> None:
    result = layout([])
    assert result.cumulative_queries.tolist() == [0]
    assert result.positions.tolist() == []
    assert result.longest_queries == LENGTH_BUCKET
