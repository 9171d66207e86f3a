"""An experience that outlasts its process: crashes at every byte, at random, again and again."""

from __future__ import annotations

import contextlib
import errno
import itertools
import random
import tracemalloc
from pathlib import Path

import msgspec
import pytest

from azr.game.types import Version
from azr.journal import Folder, Journal, JournalError
from azr.journal.durable import open_experience, restore, shorten
from azr.journal.frames import PIECE_BYTES
from azr.ledger import events
from azr.ledger.experience import Experience
from azr.ledger.ledger import BooksBrokenError, LedgerError, Sample
from azr.ledger.snapshots import to_records
from tests.journal.crashes import LIMITS, Run
from tests.journal.disks import CrashingDisk, PowerCutError
from tests.journal.test_journal import FATES, markers
from tests.ledger.play import LIMITS as PLAYED
from tests.ledger.play import PROPOSE, SOLVE, Play, propose


@pytest.fixture(scope="module")
def undisturbed() -> tuple[Run, int]:
    run, disk = Run(), CrashingDisk()
    run.boot(disk)
    run.play()
    return run, disk.spent


@pytest.fixture(scope="module")
def full_of_mishaps() -> tuple[Run, int]:
    run, disk = Run(steps=3, mishaps=True), CrashingDisk()
    run.check(run.boot(disk))
    run.play()
    return run, disk.spent


def crash_and_go_on(budgets: list[int], fates: list[tuple[float, bool, float]], expected: Run) -> None:
    """Cut the power after each budget in turn, then let the run end; the books must be those of a run never cut."""
    run, disk = Run(steps=expected.steps, mishaps=expected.mishaps), CrashingDisk()
    for budget, fate in zip(budgets, fates, strict=True):
        disk.budget, disk.spent = budget, 0
        try:
            run.check(run.boot(disk))
            run.play()
        except PowerCutError:
            pass
        disk = disk.reboot(*fate)
    run.check(run.boot(disk))
    run.play()
    assert run.experience is not None
    run.check(run.experience)
    assert run.accounts() == expected.accounts()
    assert run.batches == expected.batches


def test_a_run_that_is_never_cut_trains_on_everything_once(undisturbed: tuple[Run, int]) -> None:
    run, _ = undisturbed
    accounts = run.accounts()
    assert accounts["deduction/solve"].trained == accounts["deduction/solve"].generated
    assert accounts["deduction/solve"].trained.samples == 4
    assert accounts["deduction/propose"].trained.samples == 2


def test_cut_at_every_byte_the_books_close_nothing_is_lost_and_nothing_is_trained_on_twice(
    undisturbed: tuple[Run, int],
) -> None:
    expected, units = undisturbed
    for budget, fate in zip(range(units), itertools.cycle(FATES)):
        crash_and_go_on([budget], [fate], expected)


def test_what_is_lost_dropped_swept_and_undone_is_in_the_books(full_of_mishaps: tuple[Run, int]) -> None:
    accounts = full_of_mishaps[0].accounts()
    discarded = accounts["deduction/propose"].discarded
    assert {reason: count.samples for reason, count in discarded.items()} == {"unwanted": 5, "stale": 1, "lineage": 1}
    assert accounts["deduction/solve"].discarded["lineage"].samples == 4
    assert accounts["deduction/propose"].trained.samples == 3


#: Bytes between two cuts: no divisor of a record's length, so that records are cut at ever other places.
STRIDE = 7


def test_cut_anywhere_no_loss_drop_sweep_or_resume_is_done_by_half(full_of_mishaps: tuple[Run, int]) -> None:
    expected, units = full_of_mishaps
    for budget, fate in zip(range(0, units, STRIDE), itertools.cycle(FATES)):
        crash_and_go_on([budget], [fate], expected)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_cut_at_every_byte_with_every_fate_of_what_was_not_synced(undisturbed: tuple[Run, int]) -> None:
    expected, units = undisturbed
    for budget in range(units):
        for fate in FATES:
            crash_and_go_on([budget], [fate], expected)


def random_crashes(seeds: range, expected: Run, units: int) -> None:
    for seed in seeds:
        draw = random.Random(seed)
        cuts = draw.randrange(2, 7)
        budgets = [draw.randrange(units) for _ in range(cuts)]
        fates = [
            (draw.choice((0.0, 1.0, draw.random())), draw.random() < 0.5, draw.choice((0.0, 0.3))) for _ in range(cuts)
        ]
        crash_and_go_on(budgets, fates, expected)


def test_cut_several_times_in_a_row_at_random(undisturbed: tuple[Run, int]) -> None:
    random_crashes(range(150), *undisturbed)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_cut_several_times_in_a_row_at_random_for_long(undisturbed: tuple[Run, int]) -> None:
    random_crashes(range(1_000, 31_000), *undisturbed)


#: A batch is one proposal, its two rated attempts, and two at an old task.
LIMITED = PLAYED._replace(max_staleness=1)


def with_bodies(play: Play, length: int) -> Play:
    """Its samples have bodies of this length."""
    bare = play.sample

    def sample(name: str, *arguments: object) -> Sample:
        return msgspec.structs.replace(bare(name, *arguments), body=bytes(length))  # type: ignore[arg-type]

    play.sample = sample  # type: ignore[method-assign, assignment]
    return play


def real(folder: Path) -> Journal:
    return Journal(Folder(folder), draw_marker=markers(), clock=lambda: 0.0)


def test_an_experience_comes_back_from_its_folder_with_bodies_and_batches(tmp_path: Path) -> None:
    run = Run(steps=1)
    run.journal = real(tmp_path)
    run.experience, _ = open_experience(run.journal, LIMITS, now=0.0)
    run.play()
    run.journal.close()
    back, recovery = open_experience(real(tmp_path), LIMITS, now=0.0)
    assert back.book.snapshot() == run.experience.book.snapshot()
    assert recovery.torn_bytes == 0


def test_a_journal_is_shortened_only_once_it_has_grown(tmp_path: Path) -> None:
    journal = real(tmp_path)
    experience, _ = open_experience(journal, LIMITS, now=0.0)
    assert not shorten(journal, experience)
    for name in "abc":
        experience.wasted(SOLVE, 1, 10, name)
    size = journal.size
    assert shorten(journal, experience, above_bytes=size - 1)
    back, recovery = open_experience(real(tmp_path), LIMITS, now=0.0)
    assert recovery.records == 1, "nothing in it has a body"
    assert back.book.snapshot() == experience.book.snapshot()


class TestMemory:
    """What a restart costs in memory: the books as they stand, and the record that is being read."""

    BODY = 50_000
    #: A step's two rated attempts, two replayed ones and the proposal.
    SAMPLES = 5

    def written(self, folder: Path, steps: int) -> int:
        """The journal of so many steps, of whose samples no resume wants any; its length."""
        folder.mkdir()
        journal = real(folder)
        experience, _ = open_experience(journal, LIMITED, now=0.0)
        play = with_bodies(Play(LIMITED), self.BODY)
        play.experience = experience
        for step in range(steps):
            play.fill(str(step))
            play.take()
            play.train(checkpoint=False)
            experience.keep([step + 1])
        journal.close()
        return journal.size

    def peak(self, folder: Path) -> int:
        """Bytes that opening it takes at most."""
        journal = real(folder)
        tracemalloc.start()
        try:
            experience, _ = open_experience(journal, LIMITED, now=0.0)
            experience.assert_closed()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            journal.close()

    def test_it_does_not_grow_with_a_journal_whose_content_was_forgotten_again(self, tmp_path: Path) -> None:
        lengths = {steps: self.written(tmp_path / f"{steps}", steps) for steps in (10, 80)}
        assert lengths[80] > 80 * self.SAMPLES * self.BODY
        self.peak(tmp_path / "10")  # what is made once in a process is made
        short, long = self.peak(tmp_path / "10"), self.peak(tmp_path / "80")
        assert long < 1.2 * short
        assert long < 4 * self.SAMPLES * self.BODY + PIECE_BYTES, "a step and some; the journal is eighty"

    def test_what_shortening_left_is_read_piece_by_piece_too(self, tmp_path: Path) -> None:
        """Sixty bodies in pieces of two: the books hold each once, and one piece lies beside them."""
        journal = real(tmp_path)
        journal.open()
        play = with_bodies(Play(LIMITED._replace(max_staleness=99)), self.BODY)
        for number in range(30):
            play.replay(f"r{number}")
            play.attempt(f"r{number}", True, True)
        held = 30 * 2 * self.BODY
        journal.compact(to_records(play.experience.book.snapshot(), piece_bytes=2 * self.BODY))
        journal.close()
        assert held < journal.size < 1.1 * held
        assert held < self.peak(tmp_path) < 1.1 * held + PIECE_BYTES


class TestRestore:
    """A checkpoint's snapshot takes the place of a journal that does not lead to it."""

    @pytest.fixture
    def snapshot(self) -> list[bytes]:
        run = Run(steps=1)
        run.boot(CrashingDisk())
        run.play()
        assert run.experience is not None
        return list(to_records(run.experience.book.snapshot(), piece_bytes=10))

    def other(self, disk: CrashingDisk) -> tuple[Run, Experience]:
        """The books of another run, in whose place the snapshot goes."""
        run = Run(compact=False)
        experience = run.boot(disk)
        if not experience.book.ledger.accounts:
            experience.wasted(SOLVE, 1, 10, "cancelled")
        return run, experience

    def test_it_is_what_the_journal_tells_from_then_on(self, snapshot: list[bytes]) -> None:
        disk = CrashingDisk()
        run, experience = self.other(disk)
        assert run.journal is not None
        restore(run.journal, experience, snapshot, now=0.0)
        experience.wasted(SOLVE, 1, 10, "later")
        expected = experience.book.snapshot()
        assert expected.next_step == 1
        assert {sample.body for _, sample in expected.ledger.trained} > {b"p0.0#0"}, "bodies and all"
        assert Run().boot(disk.reboot(0.0, False)).book.snapshot() == expected

    def test_cut_at_every_byte_the_one_is_there_or_the_other(self, snapshot: list[bytes]) -> None:
        def restored(disk: CrashingDisk) -> None:
            run, experience = self.other(disk)
            assert run.journal is not None
            restore(run.journal, experience, snapshot, now=0.0)

        whole = CrashingDisk()
        restored(whole)
        after = events.encode([Run().boot(whole.reboot(0.0, False)).book.snapshot()])
        met = set()
        for budget, fate in zip(range(0, whole.spent + 1, 3), itertools.cycle(FATES)):
            disk = CrashingDisk(budget)
            with contextlib.suppress(PowerCutError):
                restored(disk)
            found = Run().boot(disk.reboot(*fate))
            found.assert_closed()
            taken_up = events.encode([found.book.snapshot()]) == after
            assert taken_up or found.book.next_step == 0, budget
            met.add(taken_up)
        assert met == {False, True}

    def test_refused_it_changes_nothing(self, snapshot: list[bytes]) -> None:
        disk = CrashingDisk()
        run, experience = self.other(disk)
        assert run.journal is not None
        before, spent = events.encode([experience.book.snapshot()]), disk.spent
        with pytest.raises(LedgerError, match="does not begin with one"):
            restore(run.journal, experience, snapshot[1:], now=0.0)
        assert disk.spent == spent
        disk.room = sum(len(content.data) for content in disk.files.values()) + 10
        with pytest.raises(JournalError, match="the disk is full"):
            restore(run.journal, experience, snapshot, now=0.0)
        assert events.encode([experience.book.snapshot()]) == before
        assert events.encode([Run().boot(disk.reboot(0.0, False)).book.snapshot()]) == before

    def test_one_that_does_not_fit_itself_ends_the_books(self, snapshot: list[bytes]) -> None:
        run, experience = self.other(CrashingDisk())
        assert run.journal is not None
        stranger = events.encode([events.Bodies({"nobody": b"said"})])
        with pytest.raises(BooksBrokenError, match="nobody is not in flight"):
            restore(run.journal, experience, [*snapshot, stranger], now=0.0)


def test_on_a_full_disk_the_call_fails_and_the_experience_is_as_it_was() -> None:
    disk = CrashingDisk(room=2000)
    run = Run(compact=False)
    experience = run.boot(disk)
    assert propose(experience, "p")
    before = events.encode([experience.book.snapshot()])
    sample = Play().sample("p#0", PROPOSE)
    disk.room = sum(len(content.data) for content in disk.files.values()) + 10
    with pytest.raises(JournalError, match="the disk is full"):
        experience.judge_many([(sample, "task")])
    assert events.encode([experience.book.snapshot()]) == before
    disk.room = None
    experience.judge_many([(sample, "task")])
    assert run.boot(disk.reboot(0.0, False)).book.snapshot() == experience.book.snapshot()


def test_a_disk_that_cannot_sync_stops_the_service_until_it_is_opened_anew() -> None:
    disk = CrashingDisk()
    run = Run()
    experience = run.boot(disk)
    disk.fail_next["sync"] = OSError(errno.EIO, "Input/output error")
    for _ in range(2):
        with pytest.raises(JournalError):
            experience.wasted(SOLVE, 1, 1, "cancelled")
    run.boot(disk).assert_closed()


def test_a_journal_of_another_schema_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_experience(real(tmp_path), LIMITS, now=0.0)
    monkeypatch.setattr("azr.ledger.events.SCHEMA", 4)
    with pytest.raises(LedgerError, match="a snapshot of schema 3 cannot be read by schema 4"):
        open_experience(real(tmp_path), LIMITS, now=0.0)


def test_a_resumed_run_is_recovered_with_its_lineage(tmp_path: Path) -> None:
    journal = real(tmp_path)
    run = Run(steps=2, compact=False)
    run.journal = journal
    run.experience, _ = open_experience(journal, LIMITS, now=0.0)
    run.play()
    run.experience.resume(Version(0, 1), lineage=1)
    journal.close()
    back, _ = open_experience(real(tmp_path), LIMITS, now=0.0)
    assert back.book.ancestry == run.experience.book.ancestry
    assert back.book.next_step == 1
    assert back.book.snapshot() == run.experience.book.snapshot()
    back.assert_closed()
