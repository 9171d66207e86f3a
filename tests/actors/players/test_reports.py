"""Players are asked again and again what they counted; what one says late is heard late, and not lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import ray
from ray.exceptions import RayActorError

from actors.players.start import Reports


class Player:
    """Answers to each question with its number."""

    def __init__(self) -> None:
        self.asked = 0
        self.statistics = self

    def remote(self) -> tuple[Player, int]:
        self.asked += 1
        return self, self.asked


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch) -> set[Any]:
    """References whose answers are there; the rest is not in time."""
    there: set[Any] = set()

    def wait(references: Sequence[Any], *, num_returns: int, timeout: float) -> tuple[list[Any], list[Any]]:
        return [one for one in references if one in there], [one for one in references if one not in there]

    monkeypatch.setattr(ray, "wait", wait)
    monkeypatch.setattr(ray, "get", lambda reference: reference[1])
    return there


def heard(reports: Reports) -> dict[str, Any]:
    return dict(reports())


def test_an_answer_that_comes_late_is_heard_in_the_round_after_and_asked_for_once(ready: set[Any]) -> None:
    quick, slow = Player(), Player()
    reports = Reports({"quick": quick, "slow": slow})
    ready |= {(quick, 1), (quick, 2)}
    assert heard(reports) == {"quick": 1}
    ready.add((slow, 1))
    assert heard(reports) == {"quick": 2, "slow": 1}
    assert (quick.asked, slow.asked) == (2, 1)


def test_one_that_died_is_asked_anew(ready: set[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def dead(_reference: Any) -> None:
        raise RayActorError

    player = Player()
    reports = Reports({"a": player})
    ready |= {(player, 1), (player, 2)}
    with monkeypatch.context() as patched:
        patched.setattr(ray, "get", dead)
        assert heard(reports) == {}
    assert heard(reports) == {"a": 2}


def test_without_players_nobody_is_asked(ready: set[Any]) -> None:
    assert heard(Reports({})) == {}
