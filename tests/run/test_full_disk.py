"""The batch source on a disk that is full: it waits for room, or ends by name; a checkpoint is left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from azr.game.types import Version
from azr.run.checkpoint import STATE, read_state
from azr.run.source import RunSource, Setting
from learner.checkpoint import MARKER, LearnerState, NoRoomError, checkpoint_folder
from learner.weights import PublishingFailedError
from tests.journal.disks import CrashingDisk
from tests.journal.test_journal import journal_on
from tests.run.books import LocalExperience
from tests.run.test_source import World, fails_the


class FullDisk(World):
    """A run whose journal of the experience lies on a disk that becomes full; each try takes 20 s, by its clock."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path)
        self.disk = CrashingDisk()
        self.experience = LocalExperience(self.config, journal_on(self.disk))
        self.now = 0.0
        self.then: Callable[[], None] = lambda: None
        """Happens after two tries, when there is room again."""

    def source(self, step: int = 0) -> RunSource:
        setting = Setting(self.config, self.root, self.experience, self.tasks, self.hub)
        source = RunSource(setting, lambda: self.now, self.sleep)
        source.begin(step)
        return source

    def sleep(self, _seconds: float) -> None:
        self.now += 20.0
        if self.now == 40.0:
            self.disk.room = None
            self.then()

    def fill(self) -> None:
        """Whatever has been written, not a byte more fits."""
        self.disk.room = 0

    def full_after_a_batch(self) -> RunSource:
        """A source whose first batch is out; the disk is full since."""
        source = self.source()
        self.experience.fill(0)
        assert source.take(0) is not None
        self.fill()
        return source

    def stays_full(self) -> None:
        """Nobody makes room."""
        self.fill()
        self.then = self.fill

    def said(self, what: str) -> bool:
        """Whether one line was said of this: that it waits, and whose disk is full."""
        (line,) = [line for line in self.hub.said if " waits" in line]
        return line.startswith(f"{what} waits: the journal disk:00000001.journal: ") and "the disk is full" in line


def test_a_batch_that_a_full_disk_refuses_is_asked_for_again_until_there_is_room(tmp_path: Path) -> None:
    world = FullDisk(tmp_path)
    source = world.source()
    world.train(source, 0)
    world.experience.fill(1)
    world.fill()
    assert source.take(1) is not None
    assert world.experience.calls[-4:] == ["commit 0.0", "take 0.1", "take 0.1", "take 0.1"]
    assert world.said("the batch of step 2")
    world.experience.books.assert_closed()


def test_a_step_that_cannot_be_committed_yet_is_committed_before_the_next_is_asked_for(tmp_path: Path) -> None:
    world = FullDisk(tmp_path)
    source = world.full_after_a_batch()
    world.then = lambda: setattr(world.hub, "stop", "enough")
    assert source.take(1) is None
    assert world.experience.calls == ["take 0.0", "commit 0.0", "commit 0.0", "commit 0.0"]
    assert world.said("the batch of step 2")
    assert world.experience.lineage() == Version(0, 1)


def test_a_learner_whose_run_is_to_end_does_not_wait_for_room(tmp_path: Path) -> None:
    world = FullDisk(tmp_path)
    source = world.full_after_a_batch()
    world.hub.stop = "Ctrl-C"
    assert source.take(1) is None
    (line,) = world.hub.said
    assert line.startswith("the learner ends at step 1: the journal disk:00000001.journal: ")
    assert (world.now, world.hub.failed) == (0.0, [])


def test_a_disk_that_stays_full_ends_the_run_by_name_and_not_by_an_error_of_the_ranks(tmp_path: Path) -> None:
    world = FullDisk(tmp_path)
    world.config.run.batch_seconds = 300.0
    source = world.source()
    world.experience.fill(0)
    assert source.take(0) is not None
    world.stays_full()
    assert source.take(1) is None, "an error would have the ranks restarted, and wait as long again"
    (why,) = world.hub.failed
    assert why.startswith("the batch of step 2 waited 300 s in vain: the journal disk:00000001.journal: ")


def test_weights_that_cannot_be_published_end_the_wait_for_room(tmp_path: Path) -> None:
    world = FullDisk(tmp_path)
    source = world.source()
    world.experience.fill(0)
    assert source.take(0) is not None
    world.stays_full()
    source.ready(fails_the(3))
    with pytest.raises(PublishingFailedError, match="the registry is gone"):
        source.take(1)


def test_ranks_that_restart_on_a_full_disk_wait_for_room(tmp_path: Path) -> None:
    world = FullDisk(tmp_path)
    world.train(world.source(), 0)
    world.fill()
    assert world.source(0).lineage == 1
    assert world.experience.calls[-3:] == ["resume 0.0 as 1"] * 3
    assert world.said("going on from the weights of step 0")
    assert world.hub.said[-1] == "lineage 1 goes on from the weights of step 0"


def test_a_checkpoint_whose_step_a_full_disk_does_not_commit_has_no_room(tmp_path: Path) -> None:
    """So it is left out like any other: the ranks are in the middle of it, and must not wait."""
    world = FullDisk(tmp_path)
    source = world.full_after_a_batch()
    with pytest.raises(NoRoomError, match=r"the journal disk:00000001\.journal: .* the disk is full"):
        source.write_state(1, tmp_path)
    assert not (tmp_path / STATE).exists()
    assert world.now == 0.0
    world.disk.room = None
    source.write_state(1, tmp_path)
    assert read_state(tmp_path).version == Version(0, 1)


def test_what_a_full_disk_does_not_let_go_of_goes_with_the_next_checkpoint(tmp_path: Path) -> None:
    world = FullDisk(tmp_path)
    source = world.source()
    world.learn(source, range(2))
    assert world.experience.books.book.checkpoints == [1, 2]
    world.train(source, 2)
    folder = checkpoint_folder(world.root, 3)
    folder.mkdir()
    source.write_state(3, folder)
    (folder / MARKER).write_bytes(msgspec.json.encode(LearnerState(3, 3, "tiny")))
    world.fill()
    source.commit(3)
    assert world.experience.books.book.checkpoints == [1, 2, 3]
    world.disk.room = None
    world.learn(source, range(3, 4))
    assert world.experience.books.book.checkpoints == [3, 4]
    world.experience.books.assert_closed()
