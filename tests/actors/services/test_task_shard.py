"""A shard of the tasks, in this process: what may be asked again after it died, and what is asked together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.services.for_players import PlayerTasks
from azr.buffers import Estimate
from azr.errors import AzrError
from azr.game.types import Version
from azr.ledger.events import Rating
from tests.actors.games import small_config
from tests.actors.local import Desk, damage
from tests.buffers.tasks import task


async def test_an_estimate_told_again_to_the_service_that_came_back_counts_once(tmp_path: Path) -> None:
    """It died after it had recorded the estimate, before the player heard of it."""
    given, said = task(1), Rating(3, 4, Version(0, 0))
    config = small_config(tmp_path)
    desk = Desk(config, tmp_path)
    player = desk.shelves()
    assert await player.add(given, out=True)
    await tell(player, said)
    before = await desk.tasks[0].shard.statistics()
    await desk.close()
    again = Desk(config, tmp_path)
    await tell(again.shelves(), said)
    after = await again.tasks[0].shard.statistics()
    assert after.buffers == before.buffers
    await tell(again.shelves(), said, group="0.s@1/2")
    assert (await again.tasks[0].shard.statistics()).buffers != before.buffers
    await again.close()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    opened = Desk(small_config(tmp_path), tmp_path)
    yield opened
    await opened.close()


async def test_what_many_lanes_ask_at_once_goes_in_one_call_a_kind_and_each_hears_of_its_own(desk: Desk) -> None:
    player, (service,) = desk.shelves(), desk.tasks
    given = [task(number) for number in range(4)]
    added = await asyncio.gather(*(player.add(one, out=True) for one in (*given, given[2])))
    assert added == [True, True, True, True, False], "the last is a duplicate of one that went with it"
    found = await asyncio.gather(
        *(player.fetch("deduction", player.address(one)) for one in reversed(given)),
        player.fetch("deduction", "0.task-9"),
    )
    assert found == [*reversed(given), None]
    ratings = [Rating(correct, 4, Version(0, 0)) for correct in range(4)]
    await asyncio.gather(
        *(
            player.rate("deduction", player.address(one), f"0.s@1/{number}", rating)
            for number, (one, rating) in enumerate(zip(given, ratings, strict=True))
        )
    )
    assert service.asked == ["add_many", "fetch", "rate_many"]
    rows = service.shard.tasks.buffers["deduction"]._table.rows[:4]
    assert rows["right"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert not rows["out"].any()


async def test_calls_that_differ_in_more_than_the_piece_stay_apart(desk: Desk) -> None:
    player, (service,) = desk.shelves(), desk.tasks
    await asyncio.gather(player.add(task(0), out=True), player.add(task(1), out=False))
    assert service.asked == ["add_many", "add_many"]
    assert service.shard.tasks.buffers["deduction"]._table.rows["out"][:2].tolist() == [True, False]
    kinds = asyncio.gather(*(player.fetch(kind, "0.task-0") for kind in ("deduction", "abduction")))
    assert await kinds == [task(0), None]


async def test_an_error_reaches_everyone_whose_piece_was_in_the_call_and_nobody_else(desk: Desk) -> None:
    player, (service,) = desk.shelves(), desk.tasks

    def away(method: str) -> None:
        if method == "add_many":
            raise OSError("the service is away")

    await player.add(task(0), out=False)
    service.before = away
    adding = [player.add(task(number), out=False) for number in (1, 2)]
    *failed, found = await asyncio.gather(*adding, player.fetch("deduction", "0.task-0"), return_exceptions=True)
    assert [str(error) for error in failed] == ["the service is away"] * 2
    assert found == task(0)
    service.before = lambda _: None
    assert await player.add(task(1), out=False), "and the next call goes out as ever"


@pytest.mark.parametrize("name", ["experience-0", "tasks-0"])
async def test_a_damaged_journal_is_in_the_log_and_its_error_names_the_folder_to_move_away(
    tmp_path: Path, name: str
) -> None:
    config = small_config(tmp_path)
    desk = Desk(config, tmp_path)
    for step in range(3):
        await desk.tasks[0].shard.advance(step)
        await desk.experience[0].shard.next_work("p@1", [f"0.p/{step}"], ["propose"], [], 0.0)
    await desk.close()
    folder = tmp_path / "journal" / name
    journal = damage(folder)
    with pytest.raises(AzrError, match=f"{journal} is damaged at bytes") as refused:
        Desk(config, tmp_path)
    assert refused.value.mend.startswith(f"move {folder} away, such as to {folder}.damaged, and resume: ")
    assert f"CRITICAL {journal} is damaged at bytes" in (tmp_path / "logs" / f"{name}.log").read_text()


@pytest.mark.parametrize("selection", ["learnability", "uniform"])
async def test_solvers_alone_get_every_seed_once_before_replay_has_all_there_is(tmp_path: Path, selection: str) -> None:
    """Drawn for replay first, the seeds of the first lanes would be rated, and so be all that ever has a priority."""
    config = small_config(tmp_path)
    config.algorithm.game.train_propose, config.buffers.selection = False, selection
    alone = Desk(config, tmp_path)
    shard = alone.tasks[0].shard
    await shard.add_many([task(number, step=-1) for number in range(40)], False, False)
    drawn = []
    for number in range(60):
        (given,) = await shard.draw("deduction", 1)
        drawn.append(given.id)
        await shard.rate_many("deduction", [Estimate(given.id, 2, 4, 0, f"0.s@1/{number}")])
    assert len(set(drawn)) == 40
    await alone.close()


async def tell(player: PlayerTasks, said: Rating, group: str = "0.s@1/1") -> None:
    await player.rate("deduction", player.address(task(1)), group, said)
