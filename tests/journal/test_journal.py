"""The journal on good disks and bad ones."""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from azr.journal import Folder, Journal, JournalDamagedError, JournalError, Recovery, Storage
from azr.journal.journal import SyncPolicy
from tests.journal.disks import CrashingDisk, PowerCutError


def markers() -> Callable[[], bytes]:
    numbers = itertools.count(1)
    return lambda: next(numbers).to_bytes(8, "big")


def journal_on(storage: Storage, policy: SyncPolicy = "commit", clock: Callable[[], float] = lambda: 0.0) -> Journal:
    return Journal(storage, draw_marker=markers(), clock=clock, policy=policy, sync_seconds=5.0)


def opened(storage: Storage, **options: object) -> tuple[Journal, Recovery]:
    journal = journal_on(storage, **options)  # type: ignore[arg-type]
    return journal, journal.open()


def records_on(storage: Storage) -> list[bytes]:
    return list(opened(storage)[0].records())


def test_a_real_folder_gives_back_what_was_appended(tmp_path: Path) -> None:
    journal, recovery = opened(Folder(tmp_path / "journal"))
    assert recovery == Recovery(0, 0, [])
    journal.append(b"one")
    journal.append_many([b"two", b"three"])
    journal.close()
    again, recovery = opened(Folder(tmp_path / "journal"))
    assert recovery == Recovery(3, 0, [])
    assert list(again.records()) == [b"one", b"two", b"three"]
    again.append(b"four")
    again.close()
    assert records_on(Folder(tmp_path / "journal"))[-1] == b"four"


def test_a_real_folder_is_compacted_to_one_file(tmp_path: Path) -> None:
    journal, _ = opened(Folder(tmp_path))
    journal.append_many([b"a"] * 100)
    long = journal.size
    journal.compact([b"sum of a"])
    assert journal.size < long
    journal.append(b"b")
    journal.close()
    assert [path.name for path in tmp_path.iterdir()] == ["00000002.journal"]
    assert records_on(Folder(tmp_path)) == [b"sum of a", b"b"]


def test_it_is_time_to_compact_when_the_file_is_longer_than_asked_and_twice_as_long_as_it_was_left() -> None:
    journal, _ = opened(CrashingDisk())
    journal.append(bytes(1000))
    assert journal.outgrew(1000)
    assert not journal.outgrew(2000)
    journal.compact([bytes(1500)])
    journal.append(bytes(1000))
    assert not journal.outgrew(1000), "2,500 bytes and some: compacting again would write what it just wrote"
    journal.append(bytes(1000))
    assert journal.outgrew(1000)
    assert not journal.outgrew(4000)


def test_a_torn_tail_is_cut_off_with_a_warning_and_appending_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal, _ = opened(Folder(tmp_path))
    journal.append_many([b"one", b"two"])
    journal.close()
    file = tmp_path / "00000001.journal"
    file.write_bytes(file.read_bytes()[:-2])
    with caplog.at_level(logging.WARNING):
        again, recovery = opened(Folder(tmp_path))
    assert (recovery.records, recovery.torn_bytes) == (1, 33)
    assert list(again.records()) == [b"one"]
    assert "00000001.journal: cut off 33 bytes of an interrupted write" in caplog.text
    again.append(b"three")
    again.close()
    assert records_on(Folder(tmp_path)) == [b"one", b"three"]


class TestRecords:
    def test_they_are_those_that_it_held_when_it_was_asked(self) -> None:
        journal, _ = opened(CrashingDisk())
        journal.append_many([b"one", b"two"])
        records = journal.records()
        assert next(records) == b"one"
        journal.append(b"three")
        assert list(records) == [b"two"]
        assert list(journal.records()) == [b"one", b"two", b"three"]

    def test_one_that_cannot_be_read_a_second_time_is_missed(self) -> None:
        disk = CrashingDisk()
        opened(disk)[0].append_many([b"one", b"two", b"three"])
        journal, _ = opened(disk)
        disk.files["00000001.journal"].data[-1] ^= 1
        with pytest.raises(JournalError, match=r"of the 3 records of disk:00000001.journal only 2 could be read"):
            list(journal.records())

    def test_a_journal_that_is_not_open_has_none(self) -> None:
        with pytest.raises(JournalError, match="it has not been opened"):
            next(journal_on(CrashingDisk()).records())


class TestDamage:
    @pytest.fixture
    def damaged(self, tmp_path: Path) -> Path:
        journal, _ = opened(Folder(tmp_path))
        for record in (b"one", b"two", b"three"):
            journal.append(record)
        journal.close()
        file = tmp_path / "00000001.journal"
        content = bytearray(file.read_bytes())
        content[content.index(b"two")] ^= 1
        file.write_bytes(content)
        return file

    def test_damage_in_the_middle_is_reported_with_its_place_and_nothing_is_changed(self, damaged: Path) -> None:
        before = damaged.read_bytes()
        with pytest.raises(JournalDamagedError, match=r"damaged at bytes \d+ to \d+ \(1 or more records\); 2") as error:
            opened(Folder(damaged.parent))
        assert len(error.value.offsets) == 1
        assert str(damaged) in str(error.value)
        assert damaged.read_bytes() == before

    def test_a_journal_that_would_not_open_takes_no_records(self, damaged: Path) -> None:
        journal = journal_on(Folder(damaged.parent))
        with pytest.raises(JournalDamagedError):
            journal.open()
        with pytest.raises(JournalError, match="cannot be used: it is closed"):
            journal.append(b"four")

    def test_salvage_keeps_what_is_readable_and_a_copy_of_what_is_not(self, damaged: Path) -> None:
        before = damaged.read_bytes()
        journal = journal_on(Folder(damaged.parent))
        recovery = journal.open(salvage=True)
        assert recovery.records == 2
        assert list(journal.records()) == [b"one", b"three"]
        assert [gap.missing for gap in recovery.damage] == [1]
        journal.append(b"four")
        journal.close()
        assert (damaged.parent / "00000001.journal.damaged").read_bytes() == before
        assert records_on(Folder(damaged.parent)) == [b"one", b"three", b"four"]

    def test_a_header_that_is_none_is_not_taken_for_an_empty_journal(self, tmp_path: Path) -> None:
        (tmp_path / "00000003.journal").write_bytes(b"something else")
        with pytest.raises(JournalDamagedError, match="is no journal"):
            opened(Folder(tmp_path))


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    for name in ("notes.txt", "abc.journal"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "00000004.journal.part").write_text("unfinished")
    opened(Folder(tmp_path))[0].close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000001.journal", "abc.journal", "notes.txt"]


def refuses_to_remove(name: str) -> None:
    if not name.endswith(".part"):
        raise OSError(errno.EIO, "Input/output error")


class TestFullDisk:
    def test_a_full_disk_costs_the_call_that_met_it_and_says_so(self) -> None:
        disk = CrashingDisk(room=150)
        journal, _ = opened(disk)
        journal.append(b"kept")
        with pytest.raises(JournalError, match="the disk is full; every record acknowledged so far is intact") as error:
            journal.append(bytes(200))
        assert "free space on that disk" in error.value.mend
        assert journal.refused == error.value.what
        journal.append(b"small")
        assert journal.refused == "", "what was refused since is told, and not what once was"
        disk.room = None
        journal.append(bytes(200))
        assert records_on(disk.reboot(1.0, True)) == [b"kept", b"small", bytes(200)]

    def test_a_full_disk_while_compacting_leaves_the_journal_as_it_was(self) -> None:
        disk = CrashingDisk(room=150)
        journal, _ = opened(disk)
        journal.append(b"kept")
        with pytest.raises(JournalError, match="the disk is full; the journal as it was is intact"):
            journal.compact([bytes(300)])
        journal.append(b"more")
        assert disk.names() == ["00000001.journal"]
        assert records_on(disk.reboot(1.0, True)) == [b"kept", b"more"]

    @pytest.mark.parametrize("act", ["open", "remove"])
    def test_a_compaction_that_cannot_even_create_its_file_leaves_the_journal_as_it_was(self, act: str) -> None:
        """A disk without room for a name refuses that, and whoever compacts knows a refusal by its type."""
        disk = CrashingDisk()
        journal, _ = opened(disk)
        journal.append(b"kept")
        disk.fail_next[act] = OSError(errno.ENOSPC, "No space left on device")
        with pytest.raises(JournalError, match="the disk is full; the journal as it was is intact"):
            journal.compact([b"sum"])
        journal.append(b"more")
        assert records_on(disk.reboot(1.0, True)) == [b"kept", b"more"]

    def test_a_history_that_cannot_be_removed_after_compacting_is_no_error_and_goes_later(self) -> None:
        disk = CrashingDisk()
        journal, _ = opened(disk)
        journal.append(b"one")
        remove, disk.remove = disk.remove, refuses_to_remove  # type: ignore[method-assign]
        journal.compact([b"sum"])
        journal.append(b"two")
        assert disk.names() == ["00000001.journal", "00000002.journal"]
        disk.remove = remove  # type: ignore[method-assign]
        after = disk.reboot(1.0, True)
        assert records_on(after) == [b"sum", b"two"]
        assert after.names() == ["00000002.journal"]
        journal.compact([b"sum of all"])
        assert disk.names() == ["00000003.journal"]

    def test_compacting_that_failed_is_not_tried_again_at_once(self) -> None:
        disk = CrashingDisk(room=4000)
        journal, _ = opened(disk)
        journal.append(bytes(1000))
        with pytest.raises(JournalError, match="the disk is full"):
            journal.compact([bytes(4000)])
        assert not journal.outgrew(500)
        journal.append(bytes(1200))
        assert journal.outgrew(500)

    def test_a_write_that_fails_otherwise_is_taken_back_as_well(self) -> None:
        disk = CrashingDisk()
        journal, _ = opened(disk)
        disk.fail_next["write"] = OSError(errno.EIO, "Input/output error")
        with pytest.raises(JournalError, match="Input/output error"):
            journal.append(b"half of this is written")
        journal.append(b"one")
        assert records_on(disk) == [b"one"]


class TestUnusable:
    """When it is unknown what the disk holds, nothing more is acknowledged until it is read again."""

    def test_after_a_failed_sync(self) -> None:
        disk = CrashingDisk()
        journal, _ = opened(disk)
        journal.append(b"safe")
        disk.fail_next["sync"] = OSError(errno.EIO, "Input/output error")
        with pytest.raises(JournalError, match="could not be synced"):
            journal.append(b"in doubt")
        with pytest.raises(JournalError, match="syncing it failed"):
            journal.append(b"more")
        journal.open()
        assert next(iter(journal.records())) == b"safe"
        journal.append(b"again")

    def test_after_a_write_that_could_not_be_taken_back(self) -> None:
        disk = CrashingDisk()
        journal, _ = opened(disk)
        disk.fail_next |= {"write": OSError(errno.EIO, "write"), "truncate": OSError(errno.EIO, "truncate")}
        with pytest.raises(JournalError):
            journal.append(b"half of this is written")
        with pytest.raises(JournalError, match="could not be taken back"):
            journal.append(b"more")
        assert journal.open().records == 0

    @pytest.mark.parametrize("act", ["rename", "sync_names"])
    def test_after_a_compaction_that_was_put_in_place_by_half(self, act: str) -> None:
        disk = CrashingDisk()
        journal, _ = opened(disk)
        journal.append(b"one")
        disk.fail_next[act] = OSError(errno.EIO, "Input/output error")
        with pytest.raises(JournalError, match="old or new"):
            journal.compact([b"sum"])
        with pytest.raises(JournalError, match=r"putting 00000002.journal in place failed"):
            journal.append(b"two")
        journal.open()
        assert list(journal.records()) in ([b"one"], [b"sum"])

    def test_before_it_is_opened_and_after_it_is_closed(self) -> None:
        journal = journal_on(CrashingDisk())
        with pytest.raises(JournalError, match="it has not been opened"):
            journal.append(b"one")
        journal.open()
        journal.close()
        with pytest.raises(JournalError, match="it is closed"):
            journal.sync()


def test_a_record_that_is_too_long_to_be_read_back_is_refused_and_the_journal_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = CrashingDisk()
    journal, _ = opened(disk)
    journal.append(b"one")
    monkeypatch.setattr("azr.journal.frames.MAX_RECORD", 10)
    with pytest.raises(JournalError, match="a record of 11 bytes is longer than 10"):
        journal.append_many([b"two", b"-" * 11])
    with pytest.raises(JournalError, match="a record of 11 bytes is longer than 10"):
        journal.compact([b"sum", b"-" * 11])
    journal.append(b"three")
    assert records_on(disk.reboot(0.0, False)) == [b"one", b"three"]


def test_a_compaction_whose_history_breaks_off_leaves_the_journal_as_it_was() -> None:
    def breaks_off() -> list[bytes]:
        raise RuntimeError("no more")

    disk = CrashingDisk()
    journal, _ = opened(disk)
    journal.append(b"one")
    with pytest.raises(RuntimeError):
        journal.compact(record for record in [b"x", b"y"] if record == b"x" or breaks_off())
    journal.append(b"two")
    assert disk.names() == ["00000001.journal"]
    assert records_on(disk) == [b"one", b"two"]


class TestPolicies:
    """What a power cut right after the acknowledgement leaves."""

    def after_a_power_cut(self, policy: SyncPolicy, times: list[float]) -> list[bytes]:
        disk = CrashingDisk()
        now = iter([0.0, 0.0, *times])
        journal, _ = opened(disk, policy=policy, clock=lambda: next(now, times[-1]))
        for name in (b"a", b"b", b"c"):
            journal.append(name)
        return records_on(disk.reboot(keep=0.0, keep_names=False))

    def test_commit_loses_nothing(self) -> None:
        assert self.after_a_power_cut("commit", [0.0]) == [b"a", b"b", b"c"]

    def test_interval_loses_what_came_since_the_last_sync(self) -> None:
        # Appends at 0, 6 and 7 seconds; the one at 6 finds the last sync more than 5 seconds old.
        assert self.after_a_power_cut("interval", [0.0, 6.0, 6.0, 7.0]) == [b"a", b"b"]

    def test_interval_makes_the_last_append_safe_for_whoever_asks_when_it_is_due(self) -> None:
        disk, now = CrashingDisk(), [0.0]
        journal, _ = opened(disk, policy="interval", clock=lambda: now[0])
        now[0] = 3.0
        journal.append(b"a")
        for now[0], safe in ((4.9, []), (5.0, [b"a"])):
            journal.sync_if_due()
            assert records_on(disk.reboot(keep=0.0, keep_names=False)) == safe
        now[0], spent = 20.0, disk.spent
        journal.sync_if_due()
        assert disk.spent == spent, "nothing was appended since"

    def test_no_other_policy_is_ever_due(self) -> None:
        disk, now = CrashingDisk(), [0.0]
        journal, _ = opened(disk, policy="never", clock=lambda: now[0])
        journal.append(b"a")
        now[0] = 60.0
        journal.sync_if_due()
        assert journal.synced < journal.size

    def test_never_leaves_it_to_the_system(self) -> None:
        assert self.after_a_power_cut("never", [0.0]) == []

    def test_no_policy_loses_anything_when_only_the_process_dies(self) -> None:
        for policy in ("commit", "interval", "never"):
            disk = CrashingDisk()
            journal, _ = opened(disk, policy=policy)
            journal.append_many([b"a", b"b"])
            assert records_on(disk.reboot(keep=1.0, keep_names=True)) == [b"a", b"b"]


#: What is left of what was not synced, whether names are, and which share of the pages among it is missing.
FATES = [(keep, names, 0.0) for keep in (0.0, 0.5, 1.0) for names in (False, True)] + [(1.0, True, 0.5)]


@pytest.mark.parametrize("policy", ["interval", "never"])
def test_pages_that_never_reached_the_disk_end_the_journal_at_the_first_of_them(policy: SyncPolicy) -> None:
    written = [bytes([65 + number]) * 20 for number in range(20)]
    for holes in range(1, 10):
        disk = CrashingDisk()
        journal, _ = opened(disk, policy=policy)
        for number, record in enumerate(written):
            journal.append(record)
            if number == 4:
                journal.sync()
        after = disk.reboot(1.0, True, holes / 10)
        journal, recovery = opened(after, policy=policy)
        assert 5 <= recovery.records < 20
        assert list(journal.records()) == written[: recovery.records]
        journal.append(b"goes on")
        assert records_on(after)[-1] == b"goes on"


def test_cut_at_every_byte_and_act_nothing_acknowledged_is_lost_and_nothing_is_invented() -> None:
    def work(journal: Journal, acknowledged: list[bytes]) -> None:
        journal.open()
        for name in (b"a", b"bb"):
            journal.append(name)
            acknowledged.append(name)
        journal.append_many([b"c", b"d"])
        acknowledged += [b"c", b"d"]
        journal.compact(list(acknowledged))
        journal.append(b"e")
        acknowledged.append(b"e")

    whole = CrashingDisk()
    work(journal_on(whole), [])
    for budget in range(whole.spent + 1):
        disk, acknowledged = CrashingDisk(budget), list[bytes]()
        with contextlib.suppress(PowerCutError):
            work(journal_on(disk), acknowledged)
        for fate in FATES:
            found = records_on(disk.reboot(*fate))
            assert found[: len(acknowledged)] == acknowledged, (budget, fate)
            assert found == [b"a", b"bb", b"c", b"d", b"e"][: len(found)], (budget, fate)


def test_cut_again_while_recovering_nothing_acknowledged_is_lost() -> None:
    disk = CrashingDisk()
    journal, _ = opened(disk)
    journal.append_many([b"a", b"b"])
    disk.budget = disk.spent + 20
    with pytest.raises(PowerCutError):
        journal.append(b"torn by the first cut")
    torn = disk.reboot(1.0, True)
    needed = torn.reboot(1.0, True)
    opened(needed)
    for budget in range(needed.spent + 1):
        second = torn.reboot(1.0, True)
        second.budget = budget
        with contextlib.suppress(PowerCutError):
            opened(second)
        for fate in FATES:
            assert records_on(second.reboot(*fate)) == [b"a", b"b"]
