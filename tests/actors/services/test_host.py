"""What the shards' processes have in common, without a service: the journal, and the thread that keeps it safe."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from actors.services.host import Host
from azr.errors import AzrError
from azr.journal import Journal, JournalError
from azr.journal.journal import SyncPolicy
from tests.actors.local import place
from tests.actors.waiting import until
from tests.journal.disks import CrashingDisk
from tests.journal.test_journal import markers


def host_on(
    disk: CrashingDisk,
    folder: Path,
    sync: SyncPolicy,
    ended: list[BaseException],
    clock: Callable[[], float] = lambda: 0.0,
) -> Host:
    """A host whose journal is on this disk, open; `ended` is told what would end its process."""
    host = Host(msgspec.structs.replace(place(folder, "host"), sync=sync), broken=ended.append)
    policy: SyncPolicy = "never" if sync == "commit" else sync
    host.journal = Journal(disk, draw_marker=markers(), clock=clock, policy=policy, sync_seconds=5.0)
    host.read(host.journal.open)
    host.open(lambda: None)
    return host


@pytest.mark.parametrize("sync", ["commit", "interval", "never"])
async def test_a_journal_that_takes_no_more_records_ends_the_process_whatever_the_policy(
    tmp_path: Path, sync: SyncPolicy
) -> None:
    """Ray starts another, which opens the journal anew; one that stayed would fail every call for ever."""
    disk, ended = CrashingDisk(), list[BaseException]()
    host = host_on(disk, tmp_path, sync, ended)
    bad = OSError(errno.EIO, "bad disk")
    disk.fail_next |= {"write": bad, "truncate": bad}  # written by half, and not taken back
    with pytest.raises(JournalError, match="cannot be used"):
        await host.act(lambda: host.journal.append(b"one"))
    host.close()
    assert [type(error) for error in ended] == [JournalError]


def test_a_folder_is_one_process_s_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.services.host.LOCK_SECONDS", 0.2)
    first = Host(place(tmp_path, "host"))
    with pytest.raises(AzrError, match=r"is in use by another process, waited 0\.2 s for it to end"):
        Host(place(tmp_path, "host"))
    first.close()
    Host(place(tmp_path, "host")).close()


def test_a_disk_that_knows_no_locks_keeps_out_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere else: a run would otherwise begin nowhere on such a disk."""

    def flock(*_: object) -> None:
        raise OSError(errno.ENOSYS, "no locks here")

    monkeypatch.setattr(fcntl, "flock", flock)
    Host(place(tmp_path, "host")).close()


async def test_a_write_that_was_taken_back_costs_its_call_and_nothing_else(tmp_path: Path) -> None:
    disk, ended = CrashingDisk(), list[BaseException]()
    host = host_on(disk, tmp_path, "commit", ended)
    disk.fail_next["write"] = OSError(errno.ENOSPC, "no room")
    with pytest.raises(JournalError, match="the disk is full"):
        await host.act(lambda: host.journal.append(b"one"))
    await host.act(lambda: host.journal.append(b"two"))
    assert host.journal.synced == host.journal.size
    assert ended == []
    host.close()


async def test_by_the_policy_interval_the_last_record_is_made_safe_though_nobody_calls(tmp_path: Path) -> None:
    now = [0.0]
    host = host_on(CrashingDisk(), tmp_path, "interval", [], clock=lambda: now[0])
    await host.act(lambda: host.journal.append(b"one"))
    assert host.journal.synced < host.journal.size, "the last sync is not 5 s old"
    now[0] = 5.0
    await until(lambda: host.journal.synced == host.journal.size, "the journal is synced")
    host.close()
