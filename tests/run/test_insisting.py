"""Insisting on what a full disk refuses: said, repeated until there is room, and ended by name when there never is."""

from __future__ import annotations

import pytest

from azr.journal import Journal, JournalError
from azr.run.insisting import Insistence
from tests.journal.disks import CrashingDisk
from tests.journal.test_journal import journal_on
from tests.run.books import LocalHub


class Place:
    """A journal on a disk that is full, and the time. Every try takes 20 s, by this clock."""

    def __init__(self, tries: int | None = None) -> None:
        """There is room after so many `tries`, or never."""
        self.disk = CrashingDisk()
        self.journal: Journal = journal_on(self.disk)
        self.journal.open()
        self.disk.room = 0
        self.hub = LocalHub()
        self.now, self._tries = 0.0, tries

    def sleep(self, _seconds: float) -> None:
        self.now += 20.0
        if self._tries is not None and self.now >= 20.0 * self._tries:
            self.disk.room = None

    def append(self) -> str:
        self.journal.append(b"one")
        return "taken"

    def refusal(self) -> str:
        """What the journal says of the record while its disk is full."""
        self.disk.room = 0
        with pytest.raises(JournalError) as refused:
            self.append()
        return refused.value.what

    def insistence(self, seconds: float = 300.0) -> Insistence:
        return Insistence(self.hub, seconds, lambda: self.now, self.sleep)


def test_what_is_taken_at_once_is_spoken_of_to_nobody() -> None:
    place = Place()
    place.disk.room = None
    assert place.insistence()("the batch", place.append) == "taken"
    assert (place.hub.said, place.now) == ([], 0.0)


def test_what_a_full_disk_refuses_is_said_and_taken_once_when_there_is_room() -> None:
    place = Place(tries=2)
    assert place.insistence()("the batch", place.append) == "taken"
    assert place.hub.said == [f"the batch waits: {place.refusal()}"]
    assert list(place.journal.records()) == [b"one"]
    assert place.hub.failed == []


def test_a_refusal_that_lasts_is_said_again_after_a_minute_and_at_each_doubling() -> None:
    place = Place(tries=14)
    place.insistence()("the batch", place.append)
    assert [line.partition(": the journal")[0] for line in place.hub.said] == [
        "the batch waits",
        "the batch waits for 60 s",
        "the batch waits for 120 s",
        "the batch waits for 240 s",
    ]


def test_a_disk_that_stays_full_ends_the_run_by_name() -> None:
    place = Place()
    with pytest.raises(JournalError, match="the disk is full"):
        place.insistence(seconds=300.0)("the batch", place.append)
    assert place.hub.failed == [f"the batch waited 300 s in vain: {place.refusal()}"]
    assert place.hub.mends == [
        "free space on that disk; the call can then be repeated; azr train --resume goes on from the newest checkpoint"
    ]


def test_whoever_gives_up_is_told_what_was_refused_and_nobody_else_is() -> None:
    place = Place()
    with pytest.raises(JournalError, match="the disk is full"):
        place.insistence()("the batch", place.append, lambda: True)
    assert (place.hub.said, place.hub.failed, place.now) == ([], [], 0.0)


def test_what_makes_waiting_vain_is_raised_in_its_place() -> None:
    place = Place()

    def given_up() -> bool:
        if place.now >= 40.0:
            raise ConnectionError("nobody publishes any more")
        return False

    with pytest.raises(ConnectionError):
        place.insistence()("the batch", place.append, given_up)


def test_any_other_error_is_raised_at_once() -> None:
    place = Place()

    def broken() -> None:
        raise KeyError("a defect")

    with pytest.raises(KeyError):
        place.insistence()("the batch", broken)
    assert place.now == 0.0
