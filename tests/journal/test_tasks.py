"""Tasks and ratings outlast the process that took them in."""

from __future__ import annotations

import contextlib
import itertools

import msgspec
import numpy as np
import pytest

from azr.buffers import Estimate, TaskBuffer
from azr.config.sections.buffers import BuffersConfig
from azr.game.types import Version
from azr.journal import Journal, JournalError
from azr.journal.tasks import DurableTasks, Stepped, Written
from tests.buffers.tasks import mass, names, task
from tests.journal.disks import CrashingDisk, PowerCutError
from tests.journal.test_journal import FATES, markers

TYPES = ("deduction", "abduction")


def tasks_on(disk: CrashingDisk) -> DurableTasks:
    journal = Journal(disk, draw_marker=markers(), clock=lambda: 0.0)
    buffers = {
        name: TaskBuffer(BuffersConfig(capacity=16), np.random.default_rng(seed)) for seed, name in enumerate(TYPES)
    }
    tasks = DurableTasks(buffers, journal)
    tasks.open()
    return tasks


def contents(tasks: DurableTasks) -> list[object]:
    """What must come back: tasks, priorities, the step; not what was drawn."""
    return [(len(buffer), round(mass(buffer), 9), buffer.step) for buffer in tasks.buffers.values()]


def test_tasks_ratings_and_the_step_come_back() -> None:
    disk = CrashingDisk()
    tasks = tasks_on(disk)
    assert tasks.add_many([task(1), task(2), task(3, task_type="abduction"), task(1)]) == [True, True, True, False]
    assert tasks.add_many([task(2)]) == [False]
    assert tasks.rate_many("deduction", [Estimate("task-1", 4, 8, 0), Estimate("gone", 1, 8, 0)]) == 1
    tasks.advance(7)
    again = tasks_on(disk.reboot(0.0, False))
    assert contents(again) == contents(tasks)
    assert again.buffers["deduction"].task("task-1") == task(1)
    assert again.buffers["abduction"].step == 7


def test_a_task_that_was_let_go_stays_away_after_a_crash() -> None:
    disk = CrashingDisk()
    tasks = tasks_on(disk)
    tasks.add_many([task(1), task(2)])
    tasks.let_go("deduction", ["task-1", "never held"])
    tasks.let_go("deduction", ["task-1"])
    for each in (tasks, tasks_on(disk.reboot(0.0, False))):
        assert names(each.buffers["deduction"].draw(2, 0.0)) == [2]


def test_what_was_let_go_made_no_room_and_is_not_counted_as_if() -> None:
    tasks = tasks_on(CrashingDisk())
    tasks.add_many([task(number) for number in range(16)])
    tasks.let_go("deduction", ["task-1"])
    assert tasks.buffers["deduction"].evicted == 0
    tasks.add_many([task(20), task(21)])
    assert tasks.buffers["deduction"].evicted == 1


class TestGoingBack:
    """The learner goes back to the checkpoint of step 3, and goes on under another lineage."""

    def gone_back(self, disk: CrashingDisk) -> DurableTasks:
        tasks = tasks_on(disk)
        tasks.advance(7)
        tasks.resume(Version(1, 3))
        return tasks

    def test_the_step_is_the_earlier_one_also_after_a_crash_and_from_a_shortened_journal(self) -> None:
        disk = CrashingDisk()
        tasks = self.gone_back(disk)
        assert [buffer.step for buffer in tasks.buffers.values()] == [3, 3]
        assert tasks_on(disk.reboot(0.0, False)).reached == tasks.reached == Version(1, 3)
        assert tasks.shorten(above_bytes=0)
        assert tasks_on(disk.reboot(0.0, False)).reached == Version(1, 3)

    def test_what_was_reached_does_not_fall(self) -> None:
        tasks = tasks_on(CrashingDisk())
        tasks.advance(7)
        before = tasks.written().reached
        tasks.resume(Version(1, 3))
        assert before == Version(0, 7) < tasks.written().reached

    def test_steps_and_buffers_that_were_written_before_this_was_known_are_read(self) -> None:
        older = msgspec.msgpack.encode(["stepped", 7])
        assert msgspec.msgpack.decode(older, type=Stepped) == Stepped(7, 0)
        tasks = tasks_on(CrashingDisk())
        tasks.advance(7)
        content = msgspec.msgpack.decode(msgspec.msgpack.encode(tasks.written()))
        for state in content[1].values():
            del state["lineage"], state["begun"]
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(content), type=Written).reached == Version(0, 7)


def test_a_rating_of_a_type_that_is_not_kept_is_refused_before_it_is_recorded() -> None:
    disk = CrashingDisk()
    tasks = tasks_on(disk)
    tasks.add_many([task(1)])
    with pytest.raises(ValueError, match="no buffer"):
        tasks.rate_many("induction", [Estimate("task-1", 1, 2, 0)])
    assert contents(tasks_on(disk.reboot(0.0, False))) == contents(tasks)


def test_what_was_out_is_drawn_again_after_a_crash() -> None:
    disk = CrashingDisk()
    tasks = tasks_on(disk)
    tasks.add_many([task(1), task(2)])
    assert names(tasks.buffers["deduction"].draw(1, 0.0)) == [1]
    again = tasks_on(disk.reboot(0.0, False))
    assert names(again.buffers["deduction"].draw(2, 0.0)) == [1, 2]


def test_what_is_being_rated_is_still_out_after_a_crash() -> None:
    disk = CrashingDisk()
    tasks = tasks_on(disk)
    tasks.add_many([task(1)])
    tasks.add_many([task(2)], out=True)
    again = tasks_on(disk.reboot(0.0, False))
    assert names(again.buffers["deduction"].draw(2, 0.0)) == [1]
    again.rate_many("deduction", [Estimate("task-2", 4, 8, 0)])
    assert names(again.buffers["deduction"].draw(2, 0.0)) == [2]


def test_at_capacity_the_very_tasks_that_were_held_come_back_whatever_was_drawn() -> None:
    disk = CrashingDisk()
    tasks = tasks_on(disk)
    generator = np.random.default_rng(5)
    buffer = tasks.buffers["deduction"]
    for step in range(40):
        tasks.advance(step)
        tasks.add_many([task(4 * step + index, step=step) for index in range(4)])
        drawn = buffer.draw(6, 0.5)
        tasks.rate_many("deduction", [Estimate(one.id, int(generator.integers(9)), 8, step) for one in drawn[:-1]])
    again = tasks_on(disk.reboot(0.0, False)).buffers["deduction"]
    held = [number for number in range(160) if f"task-{number}" in buffer]
    assert [number for number in range(160) if f"task-{number}" in again] == held
    assert len(held) == 16
    assert again.evicted == buffer.evicted > 100


def test_what_is_held_is_not_taken_in_again_by_the_call_that_makes_it_leave() -> None:
    disk = CrashingDisk()
    tasks = tasks_on(disk)
    tasks.add_many([task(number) for number in range(16)])
    assert tasks.add_many([task(20), task(0)]) == [True, False]
    held = [number for number in range(21) if f"task-{number}" in tasks.buffers["deduction"]]
    assert held == [*range(1, 16), 20]
    assert tasks.buffers["deduction"].duplicates == 1
    again = tasks_on(disk.reboot(0.0, False)).buffers["deduction"]
    assert [number for number in range(21) if f"task-{number}" in again] == held


def test_what_changes_nothing_is_not_written() -> None:
    disk = CrashingDisk()
    tasks = tasks_on(disk)
    tasks.add_many([task(1)])
    spent = disk.spent
    assert tasks.add_many([task(1)]) == [False]
    assert tasks.add_many([]) == []
    assert disk.spent == spent


def test_a_shortened_journal_and_a_checkpoint_come_back_to_the_very_next_draw() -> None:
    disk = CrashingDisk()
    tasks = tasks_on(disk)
    tasks.add_many([task(number) for number in range(12)])
    tasks.rate_many("deduction", [Estimate(f"task-{number}", number % 9, 8, 0) for number in range(12)])
    tasks.buffers["deduction"].references(3)
    assert not tasks.shorten()
    assert tasks.shorten(above_bytes=10)
    checkpoint = msgspec.msgpack.encode(tasks.written())
    shortened = tasks_on(disk.reboot(0.0, False))
    restored = tasks_on(CrashingDisk())
    restored.restore(msgspec.msgpack.decode(checkpoint, type=Written))
    for other in (shortened, restored):
        assert other.written() == msgspec.msgpack.decode(checkpoint, type=Written)
    expected = names(tasks.buffers["deduction"].draw(6, 0.5))
    for other in (shortened, restored):
        assert names(other.buffers["deduction"].draw(6, 0.5)) == expected


@pytest.mark.parametrize("restored", [False, True])
def test_buffers_begin_a_journal_in_pieces_for_a_record_has_a_limit(
    monkeypatch: pytest.MonkeyPatch, restored: bool
) -> None:
    monkeypatch.setattr("azr.journal.tasks.PIECE_TASKS", 6)
    disk = CrashingDisk()
    tasks = tasks_on(disk)
    tasks.add_many([task(number) for number in range(9)] + [task(9, task_type="abduction")])
    tasks.let_go("deduction", ["task-3"])
    tasks.rate_many("deduction", [Estimate("task-1", 4, 8, 0, "0.s/1")])
    if restored:
        tasks.restore(tasks.written())
    else:
        assert tasks.shorten(above_bytes=10)
    assert tasks._journal.count == 7, "16 slots of two types are three pieces each, and then all but the tasks"
    tasks.add_many([task(20)])
    again = tasks_on(disk.reboot(0.0, False))
    assert again.written() == tasks.written()
    assert names(again.buffers["deduction"].draw(9, 0.0)) == [0, 1, 2, 4, 5, 6, 7, 8, 20]


def test_a_journal_that_buffers_began_in_one_record_is_read() -> None:
    tasks = tasks_on(CrashingDisk())
    tasks.add_many([task(1)])
    disk = CrashingDisk()
    journal = Journal(disk, draw_marker=markers(), clock=lambda: 0.0)
    journal.open()
    journal.append(msgspec.msgpack.encode(tasks.written()))
    assert tasks_on(disk).written() == tasks.written()


def test_a_restored_checkpoint_is_what_the_journal_tells_from_then_on() -> None:
    disk = CrashingDisk()
    tasks = tasks_on(disk)
    tasks.add_many([task(1)])
    checkpoint = tasks.written()
    tasks.add_many([task(2)])
    tasks.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(checkpoint), type=Written))
    assert "task-2" not in tasks.buffers["deduction"]
    assert contents(tasks_on(disk.reboot(0.0, False))) == contents(tasks)


def test_a_checkpoint_for_which_there_is_no_room_changes_neither_the_journal_nor_what_is_held() -> None:
    disk = CrashingDisk()
    tasks = tasks_on(disk)
    tasks.add_many([task(1)])
    checkpoint = tasks.written()
    tasks.add_many([task(2)])
    before = contents(tasks)
    disk.room = sum(len(content.data) for content in disk.files.values()) + 100
    with pytest.raises(JournalError, match="the disk is full"):
        tasks.restore(checkpoint)
    assert contents(tasks) == contents(tasks_on(disk.reboot(0.0, False))) == before
    assert "task-2" in tasks.buffers["deduction"]


def test_a_checkpoint_that_cannot_be_read_changes_nothing() -> None:
    """Its first buffer can be, its second is of another size."""
    tasks, before = tasks_on(CrashingDisk()), tasks_on(CrashingDisk())
    tasks.add_many([task(1)])
    checkpoint = before.written()
    checkpoint.buffers["abduction"].table.tasks.pop()
    with pytest.raises(ValueError, match="was written with capacity 15, not 16"):
        tasks.restore(checkpoint)
    assert "task-1" in tasks.buffers["deduction"]


def test_cut_at_every_byte_no_acknowledged_task_or_rating_is_lost() -> None:
    def work(disk: CrashingDisk, acknowledged: list[list[object]]) -> None:
        tasks = tasks_on(disk)
        acknowledged.append(contents(tasks))
        for move in (
            lambda: tasks.add_many([task(1)]),
            lambda: tasks.rate_many("deduction", [Estimate("task-1", 4, 8, 0)]),
            lambda: tasks.advance(3),
        ):
            move()
            acknowledged.append(contents(tasks))

    whole = CrashingDisk()
    states: list[list[object]] = []
    work(whole, states)
    for budget, fate in zip(range(whole.spent + 1), itertools.cycle(FATES)):
        disk, acknowledged = CrashingDisk(budget), list[list[object]]()
        with contextlib.suppress(PowerCutError):
            work(disk, acknowledged)
        found = contents(tasks_on(disk.reboot(*fate)))
        assert found in states[max(len(acknowledged) - 1, 0) :], budget


class TestToldAgain:
    """Whoever did not hear the answer tells the estimate again."""

    TOLD = Estimate("task-1", 3, 4, 0, "0.s/1")

    def evidence(self, tasks: DurableTasks) -> tuple[float, float]:
        """Right and wrong attempts at the task."""
        buffer = tasks.buffers["deduction"]
        row = buffer._table.rows[buffer._table.slot("task-1")]
        return float(row["right"]), float(row["wrong"])

    def told(self, disk: CrashingDisk) -> DurableTasks:
        tasks = tasks_on(disk)
        tasks.add_many([task(1), task(2)])
        assert tasks.rate_many("deduction", [self.TOLD]) == 1
        return tasks

    def test_it_counts_once_and_is_not_written(self) -> None:
        disk = CrashingDisk()
        tasks = self.told(disk)
        spent = disk.spent
        assert tasks.rate_many("deduction", [self.TOLD]) == 0
        assert disk.spent == spent
        assert self.evidence(tasks) == (3, 1)

    def test_beside_what_is_new_and_twice_in_one_call_it_counts_once(self) -> None:
        tasks = self.told(CrashingDisk())
        other = Estimate("task-1", 0, 4, 0, "0.s/2")
        assert tasks.rate_many("deduction", [self.TOLD, other, other]) == 1
        assert self.evidence(tasks) == (3, 5)

    def test_without_a_group_each_counts(self) -> None:
        tasks = self.told(CrashingDisk())
        assert tasks.rate_many("deduction", [Estimate("task-1", 1, 2, 0)] * 2) == 2
        assert self.evidence(tasks) == (5, 3)

    def test_a_service_that_died_in_between_knows_it_from_its_journal_however_short(self) -> None:
        for shortened in (False, True):
            disk = CrashingDisk()
            tasks = self.told(disk)
            assert tasks.shorten(above_bytes=0) or not shortened
            again = tasks_on(disk.reboot(0.0, False))
            assert again.rate_many("deduction", [self.TOLD]) == 0
            assert self.evidence(again) == (3, 1)

    def test_buffers_of_a_checkpoint_know_what_they_were_told_and_not_what_came_later(self) -> None:
        tasks = self.told(CrashingDisk())
        checkpoint = msgspec.msgpack.encode(tasks.written())
        later = Estimate("task-1", 0, 4, 0, "0.s/2")
        tasks.rate_many("deduction", [later])
        tasks.restore(msgspec.msgpack.decode(checkpoint, type=Written))
        assert tasks.rate_many("deduction", [self.TOLD]) == 0
        assert tasks.rate_many("deduction", [later]) == 1
        assert self.evidence(tasks) == (3, 5)

    def test_cut_at_every_byte_and_told_again_it_counts_once(self) -> None:
        whole = CrashingDisk()
        self.told(whole)
        for budget, fate in zip(range(whole.spent + 1), itertools.cycle(FATES)):
            disk = CrashingDisk(budget)
            with contextlib.suppress(PowerCutError):
                self.told(disk)
            again = tasks_on(disk.reboot(*fate))
            again.add_many([task(1), task(2)])
            again.rate_many("deduction", [self.TOLD])
            assert self.evidence(again) == (3, 1), budget

    def test_only_so_many_are_remembered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("azr.journal.tasks.REMEMBERED", 3)
        tasks = self.told(CrashingDisk())
        for number in range(2, 4):
            tasks.rate_many("deduction", [Estimate("task-2", 1, 2, 0, f"0.s/{number}")])
        assert tasks.rate_many("deduction", [self.TOLD]) == 0
        tasks.rate_many("deduction", [Estimate("task-2", 1, 2, 0, "0.s/4")])
        assert tasks.written().rated == ["0.s/2", "0.s/3", "0.s/4"]

    def test_what_was_written_before_groups_were_remembered_is_read(self) -> None:
        tasks = self.told(CrashingDisk())
        tag, buffers, _ = msgspec.msgpack.decode(msgspec.msgpack.encode(tasks.written()))
        older = msgspec.msgpack.decode(msgspec.msgpack.encode([tag, buffers]), type=Written)
        assert older.rated == []


def test_a_type_without_a_buffer_is_named() -> None:
    with pytest.raises(ValueError, match="no buffer for tasks of type induction; there are"):
        tasks_on(CrashingDisk()).add_many([task(1, task_type="induction")])
