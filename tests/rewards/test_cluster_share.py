"""Clusters of proposals that say the same thing; held against scipy's average linkage."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from azr.game.rewards.cluster_share import ClusterShare, average_link, distances
from azr.game.rewards.term import MAX_TOKENS
from tests.rewards.examples import facts, rated


def test_distance_is_one_minus_dice_of_the_sets_of_trigrams() -> None:
    # abcd: {abc, bcd}; bcde: {bcd, cde}; one of 2 + 2 shared: 1 - 2·1/4.
    apart = distances([list("abcd"), list("bcde"), list("abcd"), list("wxyz")])
    assert apart[0].tolist() == [0.0, 0.5, 0.0, 1.0]
    assert (apart == apart.T).all()


def test_a_repeated_gram_counts_once() -> None:
    # aaaa and aaa hold the one trigram aaa.
    assert distances([list("aaaa"), list("aaa")])[0, 1] == 0.0


def test_programs_shorter_than_a_gram_are_one_gram() -> None:
    assert distances([["a"], ["a"], ["b"], []]).tolist()[0] == [0.0, 0.0, 1.0, 1.0]


def test_average_link_by_hand() -> None:
    # 0 and 1 merge at 0.2. The pair is (0.4 + 0.7)/2 = 0.55 from 2: too far for 0.5, though 0 and 2 alone are not.
    apart = np.array([[0.0, 0.2, 0.4], [0.2, 0.0, 0.7], [0.4, 0.7, 0.0]])
    assert average_link(apart, 0.5).tolist() == [0, 0, 2]
    assert average_link(apart, 0.56).tolist() == [0, 0, 0]
    assert average_link(apart, 0.1).tolist() == [0, 1, 2]


def test_a_distance_at_the_threshold_merges() -> None:
    apart = np.array([[0.0, 0.5], [0.5, 0.0]])
    assert average_link(apart, 0.5).tolist() == [0, 0]


def test_a_cluster_weighs_by_its_size_in_further_merges() -> None:
    # {0,1,2} first; its distance to 3 is (0.3 + 0.3 + 0.9)/3 = 0.5, not the (0.3 + 0.9)/2 of an unweighted mean.
    apart = np.array([[0.0, 0.0, 0.1, 0.3], [0.0, 0.0, 0.1, 0.3], [0.1, 0.1, 0.0, 0.9], [0.3, 0.3, 0.9, 0.0]])
    assert average_link(apart, 0.55).tolist() == [0, 0, 0, 0]
    assert average_link(apart, 0.45).tolist() == [0, 0, 0, 3]


@given(st.integers(2, 12), st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
@settings(max_examples=60)
def test_average_link_agrees_with_scipy(count: int, seed: int, threshold: float) -> None:
    random = np.random.default_rng(seed).random((count, count))
    apart = (random + random.T) / 2
    np.fill_diagonal(apart, 0.0)
    ours = average_link(apart, threshold)
    theirs = fcluster(linkage(squareform(apart), "average"), threshold, "distance")
    assert ((ours[:, None] == ours) == (theirs[:, None] == theirs)).all()


def test_the_share_is_what_others_add_to_the_cluster_over_the_batch() -> None:
    batch = [rated(of=facts(tokens)) for tokens in ("abcdef", "abcdef", "abcdefg", "uvwxyz")]
    assert ClusterShare().values(batch) == [0.5, 0.5, 0.5, 0.0]


def test_what_lies_beyond_the_bound_is_not_looked_at() -> None:
    head = "a" * MAX_TOKENS
    assert ClusterShare().values([rated(of=facts(head + "bcdef")), rated(of=facts(head + "uvwxyz"))]) == [0.5, 0.5]
    assert ClusterShare(distance=0.0).values([rated(of=facts(head + "b")), rated(of=facts(head + "c"))]) == [0.5, 0.5]


def test_one_proposal_repeats_nobody_and_no_proposal_is_fine() -> None:
    assert ClusterShare().values([rated()]) == [0.0]
    assert ClusterShare().values([]) == []


@pytest.mark.parametrize("distance", [-0.1, 1.1, float("nan"), "abc", "0.5", None, True])
def test_a_threshold_that_is_no_distance_is_refused(distance: Any) -> None:
    with pytest.raises(ValueError, match="distance must be a number between 0 and 1, not "):
        ClusterShare(distance=distance)
