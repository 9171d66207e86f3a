"""Versions, lineages, and what may be trained on at a step."""

from __future__ import annotations

import numpy as np
import pytest

from azr.game.types import Cell, Trajectory, Version, VersionSpan
from azr.staleness.bound import (
    UNSET,
    Ancestry,
    StalenessError,
    assert_fresh,
    assert_fresh_spans,
    staleness,
    sweep_reason,
    versions_of,
)

BEGINNING = Ancestry()
#: Lineage 0 ran to step 5 or beyond, lineage 1 resumed it from step 3, lineage 2 resumed that from step 6.
PATH = BEGINNING.forked(Version(0, 3), 1).forked(Version(1, 6), 2)


def test_staleness_counts_learner_steps_along_the_path() -> None:
    assert staleness(Version(0, 2), Version(0, 5)) == 3
    assert staleness(Version(0, 2), Version(1, 5)) == 3
    assert staleness(Version(1, 5), Version(1, 5)) == 0


@pytest.mark.parametrize(
    ("version", "held"),
    [
        (Version(0, 0), True),
        (Version(0, 3), True),
        (Version(0, 4), False),
        (Version(1, 3), True),
        (Version(1, 6), True),
        (Version(1, 7), False),
        (Version(2, 6), True),
        (Version(2, 100), True),
        (Version(2, 5), False),
        (Version(3, 6), False),
    ],
)
def test_weights_exist_up_to_the_step_from_which_the_next_lineage_resumed(version: Version, held: bool) -> None:
    assert PATH.holds(version) is held


def test_resuming_from_an_older_checkpoint_cuts_off_what_came_between() -> None:
    path = PATH.forked(Version(0, 2), 3)
    assert path.holds(Version(0, 2))
    assert not path.holds(Version(0, 3))
    assert not path.holds(Version(1, 5))
    assert path.holds(Version(3, 2))


def test_the_first_lineage_has_no_beginning_to_check() -> None:
    assert BEGINNING.holds(Version(0, 0))
    assert not BEGINNING.holds(Version(1, 0))


def test_lost_weights_and_used_lineage_numbers_cannot_be_resumed() -> None:
    with pytest.raises(ValueError, match="not on the path of lineage 2"):
        PATH.forked(Version(0, 4), 3)
    with pytest.raises(ValueError, match="lineage 2 is not new: the present one is 2"):
        PATH.forked(Version(2, 7), 2)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ([Version(2, 8)], None),
        ([Version(2, 6)], None),
        ([Version(1, 6), Version(2, 7)], None),
        ([Version(1, 5)], "stale"),
        ([Version(1, 5), Version(2, 8)], "stale"),
        ([Version(1, 7)], "lineage"),
        # Begun by weights that were kept, finished by weights that were lost.
        ([Version(1, 6), Version(1, 7)], "lineage"),
        # Lost weights come first: they are the reason that tells more.
        ([Version(0, 1), Version(0, 5)], "lineage"),
    ],
)
def test_what_is_swept_at_step_8_with_a_bound_of_2_and_why(made: list[Version], reason: str | None) -> None:
    assert sweep_reason(made, Version(2, 8), PATH, 2) == reason


def test_with_a_bound_of_0_only_the_present_weights_count() -> None:
    assert sweep_reason([Version(0, 4)], Version(0, 4), BEGINNING, 0) is None
    assert sweep_reason([Version(0, 3)], Version(0, 4), BEGINNING, 0) == "stale"


def test_the_assertion_lets_through_what_the_sweep_lets_through() -> None:
    assert_fresh([[Version(2, 6)], [Version(1, 6), Version(2, 8)]], Version(2, 8), PATH, 2)
    assert_fresh([], Version(2, 8), PATH, 2)


def test_the_assertion_names_the_weights_the_step_and_the_reason() -> None:
    with pytest.raises(StalenessError, match=r"weights 1\.5, 2\.7 .* at step 2\.8 \(stale; max_staleness is 2\)"):
        assert_fresh([[Version(2, 8)], [Version(2, 7), Version(1, 5)]], Version(2, 8), PATH, 2)
    with pytest.raises(StalenessError, match="lineage"):
        assert_fresh([[Version(0, 4)]], Version(2, 8), PATH, 9)


def test_a_sample_from_the_future_is_a_replica_that_lies() -> None:
    with pytest.raises(StalenessError, match=r"claims weights 2\.9"):
        assert_fresh([[Version(2, 8), Version(2, 9)]], Version(2, 8), PATH, 2)


def trajectory(*versions: Version, rated: Version = UNSET) -> Trajectory:
    """One token by each of these weights."""
    spans = tuple(VersionSpan(place, place + 1, version) for place, version in enumerate(versions))
    return Trajectory(
        id="a",
        cell=Cell("deduction", "propose"),
        group="g",
        prompt_ids=np.zeros(1, np.int32),
        response_ids=np.zeros(len(versions), np.int32),
        behaviour_logprobs=np.zeros(len(versions), np.float32),
        spans=spans,
        reward_version=rated,
    )


def test_the_versions_of_a_trajectory_are_those_of_its_spans_each_once() -> None:
    assert versions_of(trajectory(Version(0, 2), Version(0, 3), Version(0, 2))) == (Version(0, 2), Version(0, 3))


def test_at_consumption_the_spans_are_asked_and_not_the_books() -> None:
    consumer = Version(2, 8)
    assert_fresh_spans([trajectory(Version(2, 7), Version(2, 8)), trajectory(Version(1, 6))], consumer, PATH, 2)
    for made, why in (
        (trajectory(Version(2, 7), Version(1, 5)), "stale"),
        (trajectory(Version(2, 7), Version(1, 7)), "lineage"),
        (trajectory(Version(2, 7), Version(2, 9)), "has not made yet"),
        (trajectory(Version(2, 7), rated=Version(1, 5)), "stale"),
        (trajectory(), "names no weights"),
    ):
        with pytest.raises(StalenessError, match=why):
            assert_fresh_spans([trajectory(Version(2, 8)), made], consumer, PATH, 2)
