"""A shard of the tasks, in this process: what may be asked again after it died."""

from __future__ import annotations

from pathlib import Path

from actors.services.for_players import PlayerTasks
from azr.game.types import Version
from azr.ledger.events import Rating
from tests.actors.games import small_config
from tests.actors.local import Desk
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


async def tell(player: PlayerTasks, said: Rating, group: str = "0.s@1/1") -> None:
    await player.rate("deduction", player.address(task(1)), group, said)
