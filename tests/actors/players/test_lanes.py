"""Bounded lanes: never more at once, never idle while there is work, nothing fails unheard."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from actors.players import lanes as module
from actors.players.lanes import Lanes
from tests.actors.waiting import until


class Office:
    """Hands out numbered work, and sees what becomes of it."""

    def __init__(self, pieces: int) -> None:
        self.left = list(range(pieces))
        self.asked: list[int] = []
        self.busy = self.most = 0
        self.done: list[str] = []
        self.failures: list[tuple[str | None, str]] = []
        self.fruitless: set[str] = set()
        self.ended = asyncio.Event()
        self.act: Callable[[str], Awaitable[None]] = self.nap

    async def ask(self, free: int) -> Sequence[str]:
        self.asked.append(free)
        given, self.left = self.left[:free], self.left[free:]
        if not given:
            self.ended.set()
            await asyncio.sleep(0.01)
        return [str(number) for number in given]

    async def nap(self, _: str) -> None:
        await asyncio.sleep(0.01)

    async def do(self, work: str) -> bool:
        self.busy += 1
        self.most = max(self.most, self.busy)
        try:
            await self.act(work)
            self.done.append(work)
        finally:
            self.busy -= 1
        return work not in self.fruitless

    async def failed(self, work: str | None, error: Exception) -> None:
        self.failures.append((work, str(error)))

    def lanes(self, count: int) -> Lanes[str]:
        return Lanes(count, ask=self.ask, do=self.do, name=lambda work: work, failed=self.failed)


async def worked(office: Office, count: int) -> Lanes[str]:
    lanes = office.lanes(count)
    running = asyncio.create_task(lanes.run())
    await asyncio.wait_for(office.ended.wait(), 5)
    await lanes.stop(5)
    await asyncio.wait_for(running, 5)
    return lanes


async def test_no_more_pieces_are_under_way_than_there_are_lanes_and_no_fewer() -> None:
    office = Office(50)
    await worked(office, 4)
    assert sorted(map(int, office.done)) == list(range(50))
    assert office.most == 4
    assert max(office.asked) == 4


async def test_only_free_lanes_are_asked_for() -> None:
    office = Office(3)
    hold = asyncio.Event()

    async def act(_: str) -> None:
        await hold.wait()

    office.act = act
    lanes = office.lanes(5)
    running = asyncio.create_task(lanes.run())
    await asyncio.wait_for(office.ended.wait(), 5)
    assert office.asked[:2] == [5, 2]
    assert sorted(lanes.under_way) == ["0", "1", "2"]
    hold.set()
    await lanes.stop(5)
    await running


async def test_after_an_answer_that_left_lanes_free_work_gathers_before_the_next_question() -> None:
    office = Office(1)
    hold, begun, pauses = asyncio.Event(), asyncio.Event(), []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        office.left += [2 * len(pauses) - 1, 2 * len(pauses)]

    async def act(_: str) -> None:
        if office.busy == 5:
            begun.set()
        await hold.wait()

    office.act = act
    lanes = office.lanes(5)
    lanes._pause = pause  # type: ignore[method-assign]
    running = asyncio.create_task(lanes.run())
    await asyncio.wait_for(begun.wait(), 5)
    assert office.asked == [5, 4, 2], "what came meanwhile was given out together"
    assert pauses == [module.GATHER_SECONDS] * 2, "and nothing gathers for lanes that are all busy"
    hold.set()
    office.left.clear()
    await lanes.stop(5)
    await running


async def test_while_few_lanes_are_free_more_come_free_before_the_next_question() -> None:
    office = Office(20)
    holds: dict[str, asyncio.Event] = {str(number): asyncio.Event() for number in range(20)}
    pauses = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        for number in (3, 4):  # two more end while the first one's lane is free
            holds[str(number)].set()
        await asyncio.sleep(0.01)

    async def act(work: str) -> None:
        await holds[work].wait()

    office.act = act
    lanes = office.lanes(12)
    lanes._pause = pause  # type: ignore[method-assign]
    running = asyncio.create_task(lanes.run())
    await until(lambda: office.busy == 12, "all lanes to be busy")
    holds["1"].set()
    await until(lambda: len(office.asked) == 2, "the next question")
    assert office.asked[:2] == [12, 3], "not one, and then two"
    assert pauses[0] == module.GATHER_SECONDS
    for hold in holds.values():
        hold.set()
    await lanes.stop(5)
    running.cancel()


async def test_an_answer_with_nothing_is_followed_by_the_next_question_at_once() -> None:
    office = Office(0)
    pauses = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    lanes = office.lanes(2)
    lanes._pause = pause  # type: ignore[method-assign]
    running = asyncio.create_task(lanes.run())
    await asyncio.wait_for(office.ended.wait(), 5)
    await lanes.stop(5)
    await running
    assert pauses == [], "the service kept the question long enough"


async def test_a_stop_ends_the_gathering_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATHER_SECONDS", 60.0)
    office = Office(1)
    done = asyncio.Event()

    async def act(_: str) -> None:
        done.set()

    office.act = act
    lanes = office.lanes(3)
    running = asyncio.create_task(lanes.run())
    await asyncio.wait_for(done.wait(), 5)
    assert await asyncio.wait_for(lanes.stop(30), 5) == []
    await asyncio.wait_for(running, 5)
    assert office.asked == [3]


async def test_a_stop_ends_the_rest_after_a_failed_question_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REST_SECONDS", 60.0)
    office = Office(0)
    asked = asyncio.Event()

    async def ask(free: int) -> Sequence[str]:
        asked.set()
        raise OSError("the service is away")

    office.ask = ask  # type: ignore[method-assign]
    lanes = office.lanes(1)
    running = asyncio.create_task(lanes.run())
    await asyncio.wait_for(asked.wait(), 5)
    assert await asyncio.wait_for(lanes.stop(30), 5) == []
    await asyncio.wait_for(running, 5)


async def test_time_without_work_is_counted_as_waiting_for_admission() -> None:
    office = Office(0)
    lanes = await worked(office, 2)
    assert lanes.waited_seconds > 0


async def test_so_is_time_after_which_some_came() -> None:
    office = Office(1)
    ask = office.ask

    async def late(free: int) -> Sequence[str]:
        await asyncio.sleep(0.1 if office.left else 0.0)
        return await ask(free)

    office.ask = late  # type: ignore[method-assign]
    assert (await worked(office, 1)).waited_seconds >= 0.1


async def test_a_piece_that_fails_is_told_of_and_frees_its_lane(monkeypatch: object) -> None:
    module.REST_SECONDS, before = 0.01, module.REST_SECONDS
    office = Office(6)

    async def act(work: str) -> None:
        if work == "2":
            raise ValueError("broken")

    office.act = act
    await worked(office, 2)
    module.REST_SECONDS = before
    assert office.failures == [("2", "broken")]
    assert sorted(office.done) == ["0", "1", "3", "4", "5"]


async def test_a_lane_whose_work_came_to_nothing_rests_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REST_SECONDS", 0.3)
    office = Office(8)
    office.fruitless = {"0", "1", "2", "3"}
    began = asyncio.get_running_loop().time()
    lanes = await worked(office, 2)
    assert asyncio.get_running_loop().time() - began > 0.6, "both lanes rested, each of them twice"
    assert sorted(office.done) == list("01234567")
    assert office.failures == []
    assert lanes.under_way == []


async def test_a_question_that_fails_is_asked_again() -> None:
    module.REST_SECONDS, before = 0.01, module.REST_SECONDS
    office = Office(2)
    answered = office.ask

    async def ask(free: int) -> Sequence[str]:
        if not office.failures:
            raise OSError("the service is away")
        return await answered(free)

    office.ask = ask  # type: ignore[method-assign]
    await worked(office, 2)
    module.REST_SECONDS = before
    assert office.failures == [(None, "the service is away")]
    assert sorted(office.done) == ["0", "1"]


async def test_work_that_is_no_longer_wanted_is_cancelled_and_told_to_nobody() -> None:
    office = Office(1)

    begun = asyncio.Event()

    async def act(_: str) -> None:
        begun.set()
        await asyncio.sleep(60)

    office.act = act
    lanes = office.lanes(1)
    running = asyncio.create_task(lanes.run())
    await asyncio.wait_for(begun.wait(), 5)
    lanes.cancel(["0", "never heard of"])
    await asyncio.wait_for(office.ended.wait(), 5)
    assert lanes.under_way == []
    assert office.failures == []
    await lanes.stop(1)
    await running


async def test_what_is_given_twice_is_done_once() -> None:
    office = Office(0)
    lanes = office.lanes(3)

    async def twice(_: int) -> Sequence[str]:
        await asyncio.sleep(0.005)
        if office.done:
            office.ended.set()
        return ["a", "a"] if not office.done else []

    lanes._ask = twice
    running = asyncio.create_task(lanes.run())
    await asyncio.wait_for(office.ended.wait(), 5)
    await lanes.stop(5)
    await running
    assert office.done == ["a"]


async def test_work_that_comes_after_the_stop_is_not_begun_and_told_apart() -> None:
    office = Office(0)
    asked, answer = asyncio.Event(), asyncio.Event()

    async def late(_: int) -> Sequence[str]:
        asked.set()
        await answer.wait()
        return ["late"]

    lanes = Lanes(2, ask=late, do=office.do, name=lambda work: work, failed=office.failed)
    running = asyncio.create_task(lanes.run())
    await asyncio.wait_for(asked.wait(), 5)
    stopping = asyncio.create_task(lanes.stop(5))
    await asyncio.sleep(0.01)
    answer.set()
    assert await stopping == []
    await running
    assert lanes.unbegun == ["late"]
    assert office.done == []


async def test_a_stop_gives_up_at_its_deadline_and_says_what() -> None:
    office = Office(2)

    async def act(work: str) -> None:
        await asyncio.sleep(60 if work == "1" else 0)

    office.act = act
    lanes = office.lanes(2)
    running = asyncio.create_task(lanes.run())
    await asyncio.wait_for(office.ended.wait(), 5)
    assert await lanes.stop(0.1) == ["1"]
    await asyncio.wait_for(running, 5)
    assert office.done == ["0"]
