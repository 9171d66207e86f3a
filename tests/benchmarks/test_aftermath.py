"""What is read of a run that is over: its books by the service's own code and by the audit, and what lies about."""

from __future__ import annotations

import os
import time
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import pytest

from azr.config import load, write_resolved
from azr.errors import AzrError
from azr.journal.durable import open_experience
from azr.journal.journal import Journal
from azr.journal.storage import Folder
from azr.ledger import events
from azr.staleness.admission import Limits
from benchmarks.aftermath import books, left_by, owner, remains
from tests.ledger.play import Play

SHARD = "experience-0"


def run_with(tmp_path: Path, happened: list[events.Event]) -> Path:
    """A run whose experience has this history."""
    config = load(["tiny"])
    write_resolved(config, tmp_path)
    journal = Journal(Folder(tmp_path / "journal" / SHARD), draw_marker=lambda: os.urandom(8), clock=time.monotonic)
    open_experience(journal, Limits.of(config.algorithm, config.staleness), now=0.0)
    for event in happened:
        journal.append(events.encode([event]))
    journal.close()
    return tmp_path


def history() -> list[events.Event]:
    play = Play(Limits.of(load(["tiny"]).algorithm, load(["tiny"]).staleness))
    play.propose("p1", valid=False)
    play.propose("p2", valid=False)
    return play.events


def test_books_that_close_say_so_and_nothing_is_written(tmp_path: Path) -> None:
    run = run_with(tmp_path, history())
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    not_closed, audit = books(run)
    assert not_closed == ""
    assert (audit.samples, audit.whole, audit.twice) == (2, True, [])
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_books_that_cannot_be_led_to_their_end_say_why(tmp_path: Path) -> None:
    (opened,) = [event for event in history() if isinstance(event, events.Opened)][:1]
    not_closed, audit = books(run_with(tmp_path, [*history(), opened]))
    assert "opened twice" in not_closed
    assert audit.samples == 2


def test_more_than_one_shard_is_refused(tmp_path: Path) -> None:
    run = run_with(tmp_path, [])
    other = run / "journal" / "experience-1"
    other.mkdir()
    (other / "00000001.journal").touch()
    with pytest.raises(AzrError, match="2 journals of the experience"):
        books(run)


@pytest.mark.parametrize(
    ("name", "pid"),
    [
        ("azr-ray-8514-0gg8unpd", 8514),
        ("azr-engine-19400", 19400),
        ("azr-engine-19400-x7", 19400),
        ("sem.loky-19829-e4bz8ewv", 19829),
        ("azr-azr-soak-1125-200242-2bd8b4-9298", 9298),
        ("psm_1a2b3c4d", None),
        ("of somebody else 123", None),
    ],
)
def test_names_tell_whose_they_are(name: str, pid: int | None) -> None:
    assert owner(Path(name)) == pid


def test_what_runs_leave_in_memory_and_in_the_temporary_folder_is_seen() -> None:
    before = remains()
    left = [Path(f"/dev/shm/sem.loky-{os.getpid()}-test"), Path(f"/tmp/azr-engine-{os.getpid()}-test")]
    left[0].touch()
    left[1].mkdir()
    try:
        assert set(left) <= remains() - before
        assert left_by([os.getpid()], remains() - before) == sorted(left)
        assert left_by([1], left) == [], "another run's"
    finally:
        left[0].unlink()
        left[1].rmdir()


def test_shared_memory_without_an_owner_is_left_when_nobody_uses_it() -> None:
    memory = SharedMemory(create=True, size=4096)
    path = Path("/dev/shm", memory.name)
    try:
        assert left_by([], [path]) == []
        memory.close()
        assert left_by([], [path]) == [path]
    finally:
        memory.unlink()
