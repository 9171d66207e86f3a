"""A shard of the experience, in this process: waiting, leases, and what may be asked again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.services import experience_service as module
from actors.services.experience_service import ExperienceShard
from actors.services.records import Books, Lack
from azr.game.types import Cell, Version
from azr.journal.journal import JournalError
from azr.ledger.ledger import Count, LedgerError, Sample
from azr.ledger.taking import Shortage
from azr.ledger.work import ToAttempt, ToPropose, ToReplay
from tests.actors.games import small_config
from tests.actors.local import place, rules_of
from tests.journal.disks import full

OLD = Version(0, 0)


@pytest.fixture
async def shard(tmp_path: Path) -> AsyncIterator[ExperienceShard]:
    opened = open_shard(tmp_path)
    yield opened
    await opened.close()


def open_shard(folder: Path) -> ExperienceShard:
    return ExperienceShard(place(folder, "experience-0"), rules_of(small_config(folder)))


def proposal(group: str, task_type: str = "deduction", version: Version = OLD) -> Sample:
    return Sample(
        id=f"{group}#0", group=group, cell=Cell(task_type, "propose"), tokens=10, versions=(version,), body=b"said"
    )


def attempts(group: str, task_type: str = "deduction", count: int = 4, right: int = 1) -> list[Sample]:
    return [
        Sample(
            id=f"{group}#{index}",
            group=group,
            cell=Cell(task_type, "solve"),
            tokens=5,
            versions=(OLD,),
            correct=index < right,
            body=b"tried",
        )
        for index in range(count)
    ]


async def opened(shard: ExperienceShard, name: str, owner: str = "proposer-0@1") -> ToPropose:
    (work,) = await shard.next_work(owner, [name], ["propose"], [], 0.0)
    assert isinstance(work, ToPropose)
    return work


def open_groups(shard: ExperienceShard) -> list[str]:
    """Groups whose samples are not all there."""
    return [group.id for group in shard.experience.book.groups.values() if group.state == "open"]


async def replayed(shard: ExperienceShard, name: str = "0.s/1", owner: str = "s@1") -> ToReplay:
    (work,) = await shard.next_work(owner, [name], ["solve"], [], 0.0)
    assert isinstance(work, ToReplay)
    assert await shard.replay_many([(work.group, work.task_type, "0.old")], owner) == [None]
    return work


async def test_a_proposer_is_given_proposals_up_to_the_slots_and_then_waits(shard: ExperienceShard) -> None:
    names = [f"0.p/{number}" for number in range(100)]
    works = await shard.next_work("p@1", names, ["propose"], [], 0.0)
    assert len(works) == 3 * 6 * 3, "three types, six a step, and two steps ahead"
    assert {work.task_type for work in works if isinstance(work, ToPropose)} == {"deduction", "abduction", "induction"}
    began = time.monotonic()
    assert await shard.next_work("p@1", ["0.p/more"], ["propose"], [], 0.2) == []
    assert 0.2 <= time.monotonic() - began < 2.0


async def test_who_waits_for_work_hears_of_it_as_soon_as_there_is_some(shard: ExperienceShard) -> None:
    work = await opened(shard, "0.p/1")
    waiting = asyncio.create_task(
        shard.next_work("s@1", ["0.s/1"], ["solve"], ["deduction", "abduction", "induction"], 5.0)
    )
    await asyncio.sleep(0.05)
    assert not waiting.done(), "nothing is to be rated, and nothing can be drawn"
    began = time.monotonic()
    await shard.judge_many([(proposal(work.group, work.task_type), "0.task")])
    (rating,) = await waiting
    assert isinstance(rating, ToAttempt)
    assert rating.group.task == "0.task"
    assert time.monotonic() - began < 1.0


class Watched:
    """Counts how often a shard looks for something, and whether somebody who waited heard of it."""

    def __init__(self, shard: ExperienceShard, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
        self.looks = 0
        self._shard, self._look = shard, getattr(shard.experience, method)
        monkeypatch.setattr(shard.experience, method, self._counted)

    def _counted(self, *arguments: Any, **options: Any) -> Any:
        self.looks += 1
        return self._look(*arguments, **options)

    async def settled(self) -> int:
        """The looks so far, when all that was said is heard: each round passes through thread and loop."""
        for _ in range(5):
            await self._shard.ready()
        return self.looks


ALL = ["deduction", "abduction", "induction"]


async def test_who_waits_for_work_is_left_alone_by_attempts_and_commits(
    shard: ExperienceShard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_kept", len)
    begun = await replayed(shard)
    await fill(shard)
    asked = Watched(shard, monkeypatch, "next_work")
    waiting = asyncio.create_task(shard.next_work("s@2", ["0.s/2"], ["solve"], ALL, 30.0))
    assert await asked.settled() == 1
    await shard.attempt_many([(attempts(begun.group, begun.task_type), None)], "s@1", False)
    assert await asked.settled() == 1
    assert not isinstance(await shard.take(OLD, 0.0), Lack)
    assert await asked.settled() == 2, "what went to training makes room"
    await shard.commit(OLD)
    assert await asked.settled() == 2, "its slots are held until the weights are published"
    await shard.publish(Version(0, 1))
    assert await asked.settled() == 3
    waiting.cancel()


async def test_who_waits_for_work_looks_again_when_the_learner_sweeps(
    shard: ExperienceShard, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(shard)
    asked = Watched(shard, monkeypatch, "next_work")
    waiting = asyncio.create_task(shard.next_work("s@2", ["0.s/2"], ["solve"], ALL, 30.0))
    assert await asked.settled() == 1
    assert isinstance(await shard.take(Version(0, 9), 0.0), Lack)
    assert await asked.settled() == 2
    await shard.take(Version(0, 9), 0.0)
    assert await asked.settled() == 2, "nothing more was there to be swept"
    waiting.cancel()


async def test_who_waits_for_a_batch_is_left_alone_by_work_that_begins_and_weights_that_come(
    shard: ExperienceShard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_kept", len)
    asked = Watched(shard, monkeypatch, "take")
    waiting = asyncio.create_task(shard.take(OLD, 30.0))
    assert await asked.settled() == 1
    work = await opened(shard, "0.p/1")
    replay = await replayed(shard)
    await shard.attempt_many([(attempts(replay.group, replay.task_type, count=3), None)], "somebody", False)
    await shard.publish(OLD)
    assert await asked.settled() == 1, "a group that is not whole is nothing to train on"
    await shard.attempt_many([(attempts(replay.group, replay.task_type), None)], "s@1", False)
    assert await asked.settled() == 2
    await shard.drop(work.group, "proposer-0@1", "none", [], False)
    assert await asked.settled() == 3, "there is one thing less to wait for"
    await fill(shard)
    assert not isinstance(await asyncio.wait_for(waiting, 10), Lack)


async def test_a_rating_that_is_not_trained_on_makes_room_for_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config(tmp_path)
    config.algorithm.rating.trained = False
    shard = ExperienceShard(place(tmp_path, "experience-0"), rules_of(config))
    work = await opened(shard, "0.p/1")
    await shard.judge_many([(proposal(work.group, work.task_type), "0.task")])
    (rating,) = await shard.next_work("s@1", ["0.s/1"], ["solve"], ALL, 0.0)
    assert isinstance(rating, ToAttempt)
    asked = Watched(shard, monkeypatch, "next_work")
    waiting = asyncio.create_task(shard.next_work("s@2", ["0.s/2"], ["solve"], ALL, 30.0))
    assert await asked.settled() == 1
    await shard.attempt_many([(attempts(rating.group.id, work.task_type, rating.group.size), None)], "s@1", False)
    assert await asked.settled() == 2
    waiting.cancel()
    await shard.close()


async def test_a_rating_that_is_not_trained_on_is_told_again_while_its_proposal_is_here(tmp_path: Path) -> None:
    config = small_config(tmp_path)
    config.algorithm.rating.trained = False
    shard = ExperienceShard(place(tmp_path, "experience-0"), rules_of(config))
    work = await opened(shard, "0.p/1")
    await shard.judge_many([(proposal(work.group, work.task_type), "0.task")])
    (rating,) = await shard.next_work("s@1", ["0.s/1"], ["solve"], ALL, 0.0)
    assert isinstance(rating, ToAttempt)
    made = attempts(rating.group.id, work.task_type, right=3)
    ((rated,),) = await shard.attempt_many([(made, None)], "s@1", False)
    assert (rated.task, rated.rating.correct, rated.rating.attempts) == ("0.task", 3, 4)
    assert rating.group.id not in shard.experience.book.groups, "its slots were given back"
    assert await shard.attempt_many([(made, None)], "s@1", True) == [[rated]], "the answer was lost: it is told again"
    await shard.host.act(lambda: shard.experience.drop([work.group], "gone"))
    assert await shard.attempt_many([(made, None)], "s@1", True) == [[]], "nobody knows it any more"
    await shard.close()


async def test_a_solver_is_not_sent_to_buffers_that_have_nothing(shard: ExperienceShard) -> None:
    (work,) = await shard.next_work("s@1", ["0.s/1"], ["solve"], ["deduction"], 0.0)
    assert isinstance(work, ToReplay)
    assert work.task_type != "deduction"


async def test_a_whole_group_is_rated_and_asking_again_changes_nothing(shard: ExperienceShard) -> None:
    work = await opened(shard, "0.p/1")
    await shard.judge_many([(proposal(work.group, work.task_type), "0.task")])
    await shard.judge_many([(proposal(work.group, work.task_type), "0.task")])
    (rating,) = await shard.next_work("s@1", ["0.s/1"], ["solve"], [], 0.0)
    assert isinstance(rating, ToAttempt)
    made = attempts(rating.group.id, work.task_type, right=3)
    ((rated,),) = await shard.attempt_many([(made, None)], "s@1", False)
    assert (rated.task, rated.rating.correct, rated.rating.attempts) == ("0.task", 3, 4)
    for _ in range(2):
        told = await shard.attempt_many([(made, None)], "s@1", True)
        assert told == [[rated]], "the answer was lost: it is told again"
    books = await shard.statistics()
    assert books.accounts[f"{work.task_type}/solve"].generated.samples == 4
    await shard.assert_closed()


async def test_work_of_a_silent_owner_is_given_to_another(tmp_path: Path) -> None:
    config = small_config(tmp_path)
    config.actors.silence_seconds = 0.3
    shard = ExperienceShard(place(tmp_path, "experience-0"), rules_of(config))
    work = await opened(shard, "0.p/1")
    await shard.judge_many([(proposal(work.group, work.task_type), "0.task")])
    (rating,) = await shard.next_work("s@1", ["0.s/1"], ["solve"], [], 0.0)
    assert isinstance(rating, ToAttempt)
    (again,) = await shard.next_work("s@2", ["0.s/2"], ["solve"], ["deduction", "abduction", "induction"], 5.0)
    assert isinstance(again, ToAttempt)
    assert again.group.id == rating.group.id
    assert await shard.renew("s@1", [rating.group.id]) == [rating.group.id], "the first owner is told to stop"
    await shard.close()


async def test_what_was_sampled_twice_is_counted_whoever_was_first(shard: ExperienceShard) -> None:
    """Its owner was silent for too long, and hands in what another made meanwhile."""
    work = await opened(shard, "0.p/1")
    await shard.judge_many([(proposal(work.group, work.task_type), "0.task")])
    (rating,) = await shard.next_work("s@1", ["0.s/1"], ["solve"], [], 0.0)
    assert isinstance(rating, ToAttempt)
    cell = rating.group.cell
    made = attempts(rating.group.id, work.task_type)
    await shard.attempt_many([(made[:1], None)], "s@2", False)
    await shard.attempt_many([(made[1:], (cell, 1, 5, "made_again"))], "s@3", False)
    for again in (False, True, True):
        assert len(*await shard.attempt_many([(made[1:], (cell, 1, 5, "made_again"))], "s@1", again)) == again
    account = (await shard.statistics()).accounts[str(cell)]
    assert (account.generated.samples, account.generated.tokens) == (9, 45), "four, one beside them, and four again"
    assert (account.discarded["made_again"].samples, account.discarded["made_again"].tokens) == (5, 25)
    await shard.assert_closed()


async def test_a_sign_of_life_keeps_the_work(tmp_path: Path) -> None:
    config = small_config(tmp_path)
    config.actors.silence_seconds = 0.6
    shard = ExperienceShard(place(tmp_path, "experience-0"), rules_of(config))
    work = await opened(shard, "0.p/1")
    for _ in range(6):
        await asyncio.sleep(0.2)
        assert await shard.renew("proposer-0@1", [work.group]) == []
    await shard.close()


async def test_a_new_life_gives_back_at_once_what_the_earlier_one_held(shard: ExperienceShard) -> None:
    mine = await opened(shard, "0.a/1", "proposer-0@1")
    other = await opened(shard, "0.b/1", "proposer-01@1")
    assert await shard.hello("proposer-0") == 2, "so many groups were opened"
    assert mine.group not in shard.experience.book.groups
    assert open_groups(shard) == [other.group]


async def test_a_new_life_begins_on_a_full_disk_too(shard: ExperienceShard) -> None:
    mine = await opened(shard, "0.a/1", "proposer-0@1")
    with full(shard.host.journal):
        assert await shard.hello("proposer-0") == 1
    assert open_groups(shard) == [mine.group], "until its lease runs out"


async def test_who_waits_for_a_batch_hears_that_nobody_can_hand_anything_in(shard: ExperienceShard) -> None:
    """What is taken of an incomplete batch is nothing, so that the learner itself meets no refusal."""
    with full(shard.host.journal):
        with pytest.raises(JournalError):
            await opened(shard, "0.a/1", "proposer-0@1")
        lack = await shard.take(OLD, 0.0)
    assert isinstance(lack, Lack)
    assert str(lack).startswith("shard 0 lacks abduction/propose ")
    assert "; at work: nobody; the journal " in str(lack)
    assert "the disk is full" in str(lack)
    await opened(shard, "0.a/1", "proposer-0@1")
    lack = await shard.take(OLD, 0.0)
    assert isinstance(lack, Lack)
    assert "disk" not in str(lack)


async def test_a_group_that_is_dropped_counts_what_was_generated_for_it(shard: ExperienceShard) -> None:
    work = await opened(shard, "0.p/1")
    cell = Cell(work.task_type, "propose")
    for again in (False, True):
        await shard.drop(work.group, "proposer-0@1", "retry", [(cell, 1, 33)], again)
    assert open_groups(shard) == []
    books = await shard.statistics()
    account = books.accounts[str(cell)]
    assert (account.generated.samples, account.generated.tokens) == (1, 33)
    assert account.discarded["retry"].tokens == 33
    await shard.assert_closed()


@pytest.mark.parametrize("done", [False, True])
async def test_who_fell_silent_cannot_drop_what_another_makes_meanwhile(shard: ExperienceShard, done: bool) -> None:
    """Nor what he has made. What the first generated is counted, once."""
    replay = await replayed(shard, owner="silent@1")
    await shard.hello("silent")
    (again,) = await shard.next_work("s@1", ["0.s/2"], ["solve"], [], 0.0)
    assert isinstance(again, ToAttempt)
    if done:
        await shard.attempt_many([(attempts(replay.group, replay.task_type), None)], "s@1", False)
    cell = Cell(replay.task_type, "solve")
    for asked_again in (False, True):
        await shard.drop(replay.group, "silent@1", "retry", [(cell, 4, 50)], asked_again)
    assert shard.experience.book.groups[replay.group].state == ("ready" if done else "open")
    assert (await shard.statistics()).accounts[str(cell)].discarded["retry"].tokens == 50
    await shard.assert_closed()


async def test_what_fails_for_everybody_is_poisoned_and_takes_its_proposal_along(shard: ExperienceShard) -> None:
    work = await opened(shard, "0.p/1")
    await shard.judge_many([(proposal(work.group, work.task_type), "0.task")])
    for number in range(3):
        (rating,) = await shard.next_work(f"s@{number}", [f"0.s/{number}"], ["solve"], [], 0.0)
        assert isinstance(rating, ToAttempt)
        await shard.lost(rating.group.id, "somebody else", number, True)
        for _ in range(2):  # told again, it changes nothing
            await shard.lost(rating.group.id, f"s@{number}", number, True)
    assert open_groups(shard) == []
    books = await shard.statistics()
    assert books.accounts[f"{work.task_type}/propose"].discarded["poisoned"].samples == 1
    assert f"{work.task_type}/solve" not in books.accounts, "attempts that nobody could make are none"
    await shard.assert_closed()


async def test_open_work_is_claimed_after_a_restart_and_the_rest_given_out(tmp_path: Path) -> None:
    shard = open_shard(tmp_path)
    groups = []
    for number in range(2):
        opening = await opened(shard, f"0.p/{number}")
        await shard.judge_many([(proposal(opening.group, opening.task_type), f"0.task-{number}")])
        (rating,) = await shard.next_work("s@1", [f"0.s/{number}"], ["solve"], [], 0.0)
        assert isinstance(rating, ToAttempt)
        groups.append(rating.group)
    await shard.close()
    config = small_config(tmp_path)
    config.actors.grace_seconds = 0.5
    again = ExperienceShard(place(tmp_path, "experience-0"), rules_of(config))
    assert await again.renew("s@1", [groups[0].id]) == []
    (work,) = await again.next_work("s@2", ["0.s/9"], ["solve"], ["deduction", "abduction", "induction"], 5.0)
    assert isinstance(work, ToAttempt)
    assert work.group.id == groups[1].id
    await again.close()


async def test_a_checkpoint_one_step_ahead_of_the_books_commits_the_batch_that_is_out(shard: ExperienceShard) -> None:
    await fill(shard)
    assert not (await shard.ready()).reaches(Version(0, 1)), "nothing was taken yet: there is no step to be done"
    await shard.host.act(lambda: shard.experience.take(Version(0, 0), shard.plan))
    assert (await shard.ready()).reaches(Version(0, 1))
    assert not (await shard.ready()).reaches(Version(0, 2))
    assert not (await shard.ready()).reaches(Version(1, 0)), "of a lineage that these books never heard of"
    await shard.resume(Version(0, 1), 1)
    position = await shard.ready()
    assert (position.lineage, position.next_step) == (1, 1)
    books = await shard.statistics()
    assert books.accounts["deduction/solve"].trained.samples == 32
    await shard.resume(Version(0, 1), 1)
    with pytest.raises(LedgerError):
        await shard.resume(Version(0, 3), 2)


async def test_books_go_back_to_the_checkpoints_that_are_kept_and_to_where_they_stand(shard: ExperienceShard) -> None:
    await step_of(shard, 0)
    await shard.keep([0, 1])
    await step_of(shard, 1)
    position = await shard.ready()
    assert position.checkpoints == (0, 1)
    assert [position.reaches(Version(0, step)) for step in range(4)] == [True, True, True, False]
    await shard.keep([1])
    await shard.keep([1])
    position = await shard.ready()
    assert [position.reaches(Version(0, step)) for step in range(4)] == [False, True, True, False]
    await shard.assert_closed()


async def test_a_journal_that_has_grown_is_shortened_when_a_step_is_committed(tmp_path: Path) -> None:
    shard = shortening(tmp_path)
    await fill(shard)
    await shard.host.act(lambda: shard.experience.take(OLD, shard.plan))
    journal = tmp_path / "journal" / "experience-0"
    assert [file.name for file in journal.glob("*.journal")] == ["00000001.journal"]
    for _ in range(2):  # whoever did not hear the answer asks again
        await shard.commit(OLD)
        assert [file.name for file in journal.glob("*.journal")] == ["00000002.journal"]
    expected = await shard.statistics()
    await shard.close()
    again = shortening(tmp_path)
    assert (await again.statistics()).accounts == expected.accounts
    await again.close()


async def test_a_commit_does_not_fail_for_a_journal_that_cannot_be_shortened(tmp_path: Path) -> None:
    shard = shortening(tmp_path)

    def full(records: object) -> None:
        raise JournalError("the disk is full", "free space")

    shard.host.journal.compact = full  # type: ignore[method-assign]
    await step_of(shard, 0)
    assert (await shard.ready()).next_step == 1
    assert "could not be shortened: the disk is full" in (tmp_path / "logs" / "experience-0.log").read_text()
    await shard.close()


async def test_what_is_written_to_a_checkpoint_comes_back(tmp_path: Path, shard: ExperienceShard) -> None:
    await fill(shard)
    snapshot = await shard.snapshot()
    other = ExperienceShard(place(tmp_path, "other"), rules_of(small_config(tmp_path)))
    await other.restore(snapshot)
    await other.assert_closed()
    assert (await other.statistics()).accounts == (await shard.statistics()).accounts
    await other.close()


async def test_the_event_loop_is_never_held_up_by_the_disk(shard: ExperienceShard) -> None:
    await shard.statistics()
    slow = shard.host.thread._flush

    def flush() -> None:
        time.sleep(0.3)
        slow()

    shard.host.thread._flush = flush
    await asyncio.gather(*(opened(shard, f"0.p/{number}") for number in range(6)))
    report = (await shard.statistics()).process
    assert report.longest_sync >= 0.3
    assert report.loop_lag < 0.15


def unclosed(books: Books) -> list[str]:
    """Cells of whose samples or tokens something is missing."""
    return [
        cell
        for cell, account in books.accounts.items()
        for unit in ("samples", "tokens")
        if getattr(account.generated, unit)
        != sum(
            getattr(count, unit)
            for count in (account.trained, *account.discarded.values(), books.in_flight.get(cell, Count()))
        )
    ]


async def test_books_that_were_told_stay_as_they_were_while_more_is_entered(shard: ExperienceShard) -> None:
    """They travel later: by then they would tell samples that what they tell in flight does not know."""
    await fill(shard)
    books = await shard.statistics()
    told = msgspec.msgpack.encode(books)
    await shard.host.act(lambda: shard.experience.take(Version(0, 0), shard.plan))
    await shard.commit(Version(0, 0))
    assert msgspec.msgpack.encode(books) == told
    assert unclosed(books) == []


async def test_books_told_under_load_close_each_time(shard: ExperienceShard) -> None:
    playing = asyncio.create_task(play(shard, 3))
    told: list[Books] = []
    while not playing.done():
        told.append(await shard.statistics())
    await playing
    generated = {sum(account.generated.samples for account in books.accounts.values()) for books in told}
    assert len(generated) > 20, "they were told at many moments"
    assert [unclosed(books) for books in told] == [[]] * len(told)


async def play(shard: ExperienceShard, steps: int) -> None:
    """Whole steps, one after the other."""
    for step in range(steps):
        await step_of(shard, step)


def shortening(folder: Path) -> ExperienceShard:
    """One whose journal is too long from its second record on."""
    short = msgspec.structs.replace(place(folder, "experience-0"), shorten_bytes=1)
    return ExperienceShard(short, rules_of(small_config(folder)))


async def step_of(shard: ExperienceShard, step: int) -> None:
    """A whole step."""
    await fill(shard, Version(0, step))
    assert not isinstance(await shard.host.act(lambda: shard.experience.take(Version(0, step), shard.plan)), Shortage)
    await shard.commit(Version(0, step))
    await shard.publish(Version(0, step + 1))


async def fill(shard: ExperienceShard, version: Version = OLD) -> None:
    """Enough for a whole batch of every cell."""
    for number in range(18):
        opening = await opened(shard, f"0.p/{version.step}/{number}")
        await shard.judge_many([(proposal(opening.group, opening.task_type, version), f"0.task-{number}")])
    number = 0
    while works := await shard.next_work("s@1", [f"0.s/{version.step}/{number}"], ["solve"], [], 0.0):
        (work,) = works
        number += 1
        if isinstance(work, ToReplay):
            if await shard.replay_many([(work.group, work.task_type, "0.old")], "s@1") != [None]:
                break
            await shard.attempt_many([(attempts(work.group, work.task_type), None)], "s@1", False)
        elif isinstance(work, ToAttempt):
            await shard.attempt_many([(attempts(work.group.id, work.group.task_type), None)], "s@1", False)
