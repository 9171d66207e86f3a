"""Calls of many lanes leave together, and each lane hears of its own."""

from __future__ import annotations

import asyncio

import pytest

from actors.services import for_players as module
from actors.services.for_players import Gathered
from tests.actors.waiting import until


class Post:
    """Notes what was sent together; a sending waits for `go`."""

    def __init__(self) -> None:
        self.sent: list[list[int]] = []
        self.go = asyncio.Event()
        self.go.set()
        self.error: Exception | None = None

    async def send(self, pieces: list[int]) -> list[int]:
        self.sent.append(pieces)
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return [10 * piece for piece in pieces]


async def test_pieces_that_are_ready_together_leave_together_and_each_has_its_answer() -> None:
    post = Post()
    gathered = Gathered(post.send)
    assert await asyncio.gather(*(gathered.put(number) for number in range(5))) == [0, 10, 20, 30, 40]
    assert post.sent == [[0, 1, 2, 3, 4]]


async def test_a_first_piece_waits_a_moment_for_those_that_come_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINGER_SECONDS", 0.2)
    post = Post()
    gathered = Gathered(post.send)
    first = asyncio.create_task(gathered.put(1))
    await asyncio.sleep(0.02)
    assert await asyncio.gather(gathered.put(2), first) == [20, 10]
    assert post.sent == [[1, 2]]


async def test_while_a_call_is_on_its_way_the_next_pieces_gather() -> None:
    post = Post()
    post.go.clear()
    gathered = Gathered(post.send)
    first = asyncio.create_task(gathered.put(1))
    await until(lambda: bool(post.sent), "the first call")
    rest = [asyncio.create_task(gathered.put(number)) for number in (2, 3, 4)]
    await asyncio.sleep(0.01)
    assert post.sent == [[1]]
    post.go.set()
    assert await asyncio.gather(first, *rest) == [10, 20, 30, 40]
    assert post.sent == [[1], [2, 3, 4]]


async def test_a_call_that_fails_fails_those_that_went_with_it_and_no_others() -> None:
    post = Post()
    post.error = OSError("away")
    gathered = Gathered(post.send)
    answers = await asyncio.gather(gathered.put(1), gathered.put(2), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["away", "away"]
    post.error = None
    assert await gathered.put(3) == 30


async def test_a_lane_that_gives_up_does_not_disturb_the_others() -> None:
    post = Post()
    post.go.clear()
    gathered = Gathered(post.send)
    leaving, staying = asyncio.create_task(gathered.put(1)), asyncio.create_task(gathered.put(2))
    await asyncio.sleep(0.01)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    post.go.set()
    assert await staying == 20
