"""How often a transport that fails is asked again."""

from __future__ import annotations

from actors.weights.setbacks import LONGEST, Setbacks


def _asked(setbacks: Setbacks, replicas: str, versions: int, *, failed: bool = True) -> list[bool]:
    """For which of so many versions it is asked, where it always fares so."""
    asked: list[bool] = []
    for _ in range(versions):
        asked.append(not setbacks.rest(replicas))
        if asked[-1]:
            setbacks.count(failed=failed)
    return asked


def test_one_failure_costs_no_rest() -> None:
    assert _asked(Setbacks(), "ab", 2) == [True, True]


def test_each_further_failure_in_a_row_doubles_the_rest() -> None:
    """Two tries, then four versions without, a try, then eight."""
    assert _asked(Setbacks(), "ab", 16) == [True] * 2 + [False] * 4 + [True] + [False] * 8 + [True]


def test_no_rest_is_longer_than_the_longest() -> None:
    setbacks = Setbacks()
    assert max(setbacks.count(failed=True) for _ in range(2000)) == LONGEST


def test_it_is_told_how_long_a_rest_still_is() -> None:
    setbacks = Setbacks()
    assert (setbacks.count(failed=True), setbacks.rest("a"), setbacks.count(failed=True)) == (0, 0, 4)
    assert [setbacks.rest("a") for _ in range(5)] == [4, 3, 2, 1, 0]


def test_with_other_replicas_it_is_asked_at_once_and_rests_sooner_if_it_fails_again() -> None:
    setbacks = Setbacks()
    assert _asked(setbacks, "ab", 3) == [True, True, False]
    assert _asked(setbacks, "bc", 2) == [True, False]


def test_a_version_that_it_carries_ends_the_row() -> None:
    setbacks = Setbacks()
    _asked(setbacks, "ab", 2)
    assert _asked(setbacks, "bc", 1, failed=False) == [True]
    assert (setbacks.failures, _asked(setbacks, "bc", 2)) == (0, [True, True])
