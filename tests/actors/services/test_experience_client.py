"""Who is asked for parts of a batch, and how often, while other shards keep the learner waiting."""

from __future__ import annotations

import pickle
from typing import Any

import msgspec
import pytest
import ray

from actors.services.experience_client import ExperienceClient
from actors.services.records import Lack, Part
from azr.errors import AzrError
from azr.game.types import Cell, Version
from azr.ledger.experience import Item
from azr.ledger.ledger import Sample
from tests.ledger.play import SOLVE, Play

FIRST = Version(0, 0)


class Shard:
    """Gives its part from the moment that it is ready."""

    def __init__(self, name: str, *, ready: bool) -> None:
        self.name, self.ready = name, ready
        self.deadline = 1.0
        self.asked: list[Version] = []
        self.fails = False

    def call(self, method: str, *arguments: Any, wait_seconds: float = 0.0) -> Any:
        if method != "take":
            return None
        self.asked.append(arguments[0])
        if self.fails:
            raise OSError("the service is away")
        if not self.ready:
            return Lack(0, {SOLVE: 2}, {}, {})
        return Part(arguments[0], [item(self.name)], [[b"said"]])


def item(name: str) -> Item:
    play = Play()
    play.replay(name)
    sample = Sample(id=f"{name}#0", group=name, cell=Cell("deduction", "solve"), tokens=1, versions=(FIRST,))
    return Item(sample, play.group(name), FIRST)


@pytest.fixture
def shards(monkeypatch: pytest.MonkeyPatch) -> list[Shard]:
    """One that has its part and one that has not; bodies are where their references are."""
    monkeypatch.setattr(ray, "get", lambda reference, timeout: reference)
    return [Shard("early", ready=True), Shard("late", ready=False)]


def client_of(shards: list[Shard]) -> ExperienceClient:
    return ExperienceClient(shards)  # type: ignore[arg-type]


def test_a_shard_whose_part_is_here_is_not_asked_again_while_another_is_waited_for(shards: list[Shard]) -> None:
    client = client_of(shards)
    for _ in range(3):
        assert client.take(FIRST, 0.0) is None
    assert client.lacking(FIRST).startswith("shard 0 lacks deduction/solve 2")
    assert [len(shard.asked) for shard in shards] == [1, 4]
    shards[1].ready = True
    assert client.lacking(FIRST) == ""
    batch = client.take(FIRST, 0.0)
    assert batch is not None
    assert [(one.sample.id, one.sample.body) for one in batch.items] == [("early#0", b"said"), ("late#0", b"said")]
    assert [len(shard.asked) for shard in shards] == [1, 5]


def test_bodies_that_do_not_arrive_are_not_put_down_to_a_shard_that_dies(
    shards: list[Shard], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor waited for ten times over, while nobody hears of a wish to stop."""

    def late(*_words: object, **_options: object) -> None:
        raise ray.exceptions.GetTimeoutError("not yet")

    monkeypatch.setattr(ray, "get", late)
    with pytest.raises(AzrError, match="early gave its part of a batch, whose bodies did not arrive within 1 s"):
        client_of(shards).take(FIRST, 0.0)
    assert len(shards[0].asked) == 1


def test_a_batch_that_was_given_is_not_held_and_is_given_again(shards: list[Shard]) -> None:
    client = client_of(shards)
    shards[1].ready = True
    assert client.take(FIRST, 0.0) == client.take(FIRST, 0.0)
    assert [len(shard.asked) for shard in shards] == [2, 2]


@pytest.mark.parametrize("other", [Version(0, 1), Version(1, 0)], ids=["step", "lineage"])
def test_parts_for_one_consumer_are_not_given_to_another(shards: list[Shard], other: Version) -> None:
    client = client_of(shards)
    client.take(FIRST, 0.0)
    client.take(other, 0.0)
    client.take(FIRST, 0.0)
    assert shards[0].asked == [FIRST, other, FIRST]


def test_what_is_undone_is_asked_for_anew(shards: list[Shard]) -> None:
    client = client_of(shards)
    client.take(FIRST, 0.0)
    client.resume(FIRST, 1)
    client.take(FIRST, 0.0)
    client.restore(msgspec.msgpack.encode([[], []]))
    client.take(FIRST, 0.0)
    assert len(shards[0].asked) == 3


def test_a_part_that_came_beside_an_error_is_here(shards: list[Shard]) -> None:
    client = client_of(shards)
    shards[1].fails = True
    with pytest.raises(OSError, match="away"):
        client.take(FIRST, 0.0)
    shards[1].fails, shards[1].ready = False, True
    assert client.take(FIRST, 0.0) is not None
    assert [len(shard.asked) for shard in shards] == [1, 2]


def test_it_travels_without_what_it_holds() -> None:
    client = ExperienceClient([])
    client._begun = FIRST, {0: [item("early")]}
    assert pickle.loads(pickle.dumps(client))._begun is None
