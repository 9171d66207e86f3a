"""What a player keeps alive, and what it may be told to give up: what was granted and is not settled, nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.services.for_players import PlayerExperience
from azr.game.types import Cell, Version
from azr.ledger.ledger import Sample
from azr.ledger.work import ToAttempt, ToPropose
from tests.actors.games import small_config
from tests.actors.local import Desk

ALL = ("deduction", "abduction", "induction")


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    opened = Desk(small_config(tmp_path), tmp_path)
    yield opened
    await opened.close()


def shard_of(desk: Desk) -> Any:
    return desk.experience[0].shard


async def rating(desk: Desk, player: PlayerExperience) -> ToAttempt:
    """A rating that the player holds."""
    (work,) = await player.next_work(0, [f"0.{player.owner}/p"], ["propose"], (), 0.0)
    assert isinstance(work, ToPropose)
    cell = Cell(work.task_type, "propose")
    sample = Sample(id=f"{work.group}#0", group=work.group, cell=cell, tokens=1, versions=(Version(0, 0),))
    await player.judged(sample, "0.task")
    (given,) = await player.next_work(0, [f"0.{player.owner}/s"], ["solve"], ALL, 0.0)
    assert isinstance(given, ToAttempt)
    return given


def attempts(work: ToAttempt) -> list[Sample]:
    return [
        Sample(id=name, group=work.group.id, cell=work.group.cell, tokens=1, versions=(Version(0, 0),))
        for name in work.group.awaited
    ]


async def test_what_is_held_is_kept_alive(desk: Desk) -> None:
    player = desk.player("a")
    work = await rating(desk, player)
    assert await player.renew(0) == []
    assert shard_of(desk).experience.leases.holder(work.group.id) == player.owner


async def test_what_was_given_to_another_is_to_be_given_up(desk: Desk) -> None:
    player, other = desk.player("a"), desk.player("b")
    work = await rating(desk, player)
    await shard_of(desk).host.act(lambda: shard_of(desk).experience.lost(work.group.id))
    await other.next_work(0, ["0.b@0/s"], ["solve"], ALL, 0.0)
    assert await player.renew(0) == [work.group.id]


async def test_a_group_that_is_being_settled_is_never_to_be_given_up(desk: Desk) -> None:
    player = desk.player("a")
    work = await rating(desk, player)
    settled = asyncio.create_task(player.attempted(attempts(work)))
    await asyncio.sleep(0)
    assert await player.renew(0) == [], "it is ready by the time the beat is heard, and its lane still has to rate it"
    assert len(await settled) == 1
    assert await player.renew(0) == []


async def test_a_name_that_is_not_open_yet_is_not_spoken_of(desk: Desk) -> None:
    player = desk.player("a")
    await player.next_work(0, ["0.a@0/1"], ["solve"], (), 0.0)
    assert player._held == {}, "a replay is held once it is opened"
    assert await player.replay("0.a@0/1", "deduction", "0.task") is None
    assert await player.renew(0) == []
    assert player._held == {"0.a@0/1": True}


async def test_what_nobody_works_on_any_more_is_not_kept_alive(desk: Desk) -> None:
    player = desk.player("a")
    work = await rating(desk, player)
    player.put_down(work.group.id)
    await player.renew(0)
    assert player._held == {}


async def test_attempts_by_dead_weights_send_their_group_to_others_at_once_and_without_blame(desk: Desk) -> None:
    player = desk.player("a")
    shard = shard_of(desk)
    work = await rating(desk, player)
    await shard.resume(Version(0, 0), 1)
    (again,) = await player.next_work(0, ["0.a@0/t"], ["solve"], ALL, 0.0)
    assert isinstance(again, ToAttempt)
    dead = [
        Sample(id=name, group=again.group.id, cell=again.group.cell, tokens=1, versions=(Version(0, 5),))
        for name in again.group.awaited
    ]
    assert await player.attempted(dead) == []
    (third,) = await player.next_work(0, ["0.a@0/u"], ["solve"], ALL, 0.0)
    assert isinstance(third, ToAttempt)
    assert (third.group.id, third.group.tries) == (work.group.id, 0)
