"""The audit tells what was trained on twice and what a journal lost, by histories written by hand."""

from __future__ import annotations

from pathlib import Path

from azr.game.types import Version
from azr.journal import frames
from azr.ledger import events
from azr.ledger.events import Attempted, Committed, Judged, Opened, Resumed, Taken
from azr.ledger.ledger import Sample
from benchmarks.audit import Audit, Beginning, journals
from tests.ledger.play import PROPOSE, SOLVE, Play

MARKER = b"8 bytes!"


def attempted(name: str) -> Attempted:
    sample = Sample(id=name, group=name.partition("#")[0], cell=SOLVE, tokens=10, versions=(Version(0, 0),))
    return Attempted(sample)


def judged(name: str) -> Judged:
    sample = Sample(id=f"{name}#0", group=name, cell=PROPOSE, tokens=10, versions=(Version(0, 0),))
    return Judged(sample, None)


def taken(step: int, *groups: str, lineage: int = 0) -> Taken:
    return Taken(Version(lineage, step), list(groups))


def committed(step: int, lineage: int = 0) -> Committed:
    return Committed(Version(lineage, step))


class TestTraining:
    HISTORY = (judged("p"), attempted("r#0"), attempted("r#1"), taken(0, "p", "r"), committed(0))

    def test_samples_are_trained_on_with_their_group(self) -> None:
        audit = Audit().read(self.HISTORY)
        assert audit.trained == {"p#0": 0, "r#0": 0, "r#1": 0}
        assert audit.sizes == {0: [3]}
        assert (audit.samples, audit.twice, audit.undone) == (3, [], 0)

    def test_what_is_taken_again_is_no_second_training(self) -> None:
        again = (judged("p"), taken(0, "p"), taken(0, "p"), committed(0))
        assert Audit().read(again).twice == []

    def test_a_batch_given_out_for_two_steps_is_trained_on_twice(self) -> None:
        audit = Audit().read([*self.HISTORY, taken(1, "r"), committed(1)])
        assert sorted(audit.twice) == ["r#0", "r#1"]

    def test_what_a_resume_undid_may_be_trained_on_again(self) -> None:
        more: list[events.Event] = [attempted("s#0"), taken(1, "s"), committed(1), Resumed(Version(0, 1), 1)]
        audit = Audit().read([*self.HISTORY, *more, taken(1, "s", lineage=1), committed(1, lineage=1)])
        assert audit.twice == []
        assert audit.trained == {"p#0": 0, "r#0": 0, "r#1": 0, "s#0": 1}
        assert audit.sizes == {0: [3], 1: [1, 1]}
        assert audit.undone == 1

    def test_what_a_resume_left_standing_may_not(self) -> None:
        audit = Audit().read([*self.HISTORY, Resumed(Version(0, 1), 1), taken(1, "p", lineage=1), committed(1, 1)])
        assert audit.twice == ["p#0"]

    def test_a_sample_that_comes_in_twice_is_one(self) -> None:
        audit = Audit().read([attempted("r#0"), attempted("r#0"), taken(0, "r"), committed(0)])
        assert audit.sizes == {0: [1]}

    def test_it_finds_in_a_real_history_what_the_books_know(self) -> None:
        play = Play()
        for name in "12":
            play.fill(name)
            play.take()
            play.train()
        audit = Audit().read(play.events)
        books = play.experience.book.ledger.accounts
        assert len(audit.trained) == sum(account.trained.samples for account in books.values()) == 10
        assert audit.twice == []


class TestWhole:
    def test_a_snapshot_of_nothing_stands_for_nothing(self) -> None:
        assert Audit().read([Play().experience.book.snapshot()]).whole

    def test_one_of_something_hides_its_history(self) -> None:
        play = Play()
        play.fill("1")
        assert not Audit().read([play.experience.book.snapshot()]).whole


class TestBeginning:
    @staticmethod
    def write(path: Path, *bodies: bytes, torn: bytes = b"") -> Path:
        content = frames.header(MARKER)
        for number, body in enumerate(bodies):
            content += frames.frame(MARKER, number, 0, body) + body
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content + torn)
        return path

    def test_a_journal_that_grew_still_holds_what_it_held(self, tmp_path: Path) -> None:
        path = self.write(tmp_path / "00000001.journal", b"one", b"two")
        seen = Beginning.of(path)
        self.write(path, b"one", b"two", b"three")
        assert seen.kept()

    def test_half_a_record_was_never_acknowledged(self, tmp_path: Path) -> None:
        path = self.write(tmp_path / "00000001.journal", b"one", torn=frames.frame(MARKER, 1, 0, b"two") + b"tw")
        seen = Beginning.of(path)
        self.write(path, b"one", b"other")
        assert seen.kept()

    def test_one_that_lost_or_changed_a_record_does_not(self, tmp_path: Path) -> None:
        path = self.write(tmp_path / "00000001.journal", b"one", b"two")
        seen = Beginning.of(path)
        for bodies in ((b"one",), (b"one", b"owt"), ()):
            self.write(path, *bodies)
            assert not seen.kept()
        path.unlink()
        assert not seen.kept()

    def test_all_journals_of_a_run_are_found(self, tmp_path: Path) -> None:
        for name in ("experience-0/00000001.journal", "tasks-0/00000002.journal"):
            self.write(tmp_path / "journal" / name)
        (tmp_path / "journal" / "tasks-0" / "00000003.journal.part").touch()
        assert [path.parent.name for path in journals(tmp_path)] == ["experience-0", "tasks-0"]


def test_events_that_say_nothing_of_training_are_passed_over() -> None:
    opened = Opened("g", "proposal", "deduction", 1)
    passed: list[events.Event] = [opened, events.Retried("g"), events.Published(Version(0, 1))]
    assert Audit().read(passed).samples == 0
