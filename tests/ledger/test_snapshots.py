"""A snapshot in records is the whole snapshot, and no record grows with the run."""

from __future__ import annotations

import msgspec
import pytest

from azr.ledger import events
from azr.ledger.ledger import LedgerError
from azr.ledger.snapshots import from_records, to_records
from tests.ledger.play import SOLVE, Play


def play_of(*bodies: bytes) -> Play:
    """Attempts in flight with these bodies, behind a step whose five samples have bodies of 10 bytes."""
    play = Play()
    bare = play.sample
    play.sample = lambda *given, **named: msgspec.structs.replace(bare(*given, **named), body=bytes(10))  # type: ignore[method-assign]
    play.fill("1")
    play.take()
    play.train()
    play.sample = bare  # type: ignore[method-assign]
    for number, body in enumerate(bodies):
        play.replay(f"g{number}")
        sample = msgspec.structs.replace(play.sample(f"g{number}#0", SOLVE), body=body)
        play.experience.attempt_many([sample])
    return play


def sizes(records: list[bytes]) -> list[list[int]]:
    """Lengths of the bodies in each record behind the first."""
    found = []
    for record in records[1:]:
        [event] = events.decode(record)
        assert isinstance(event, events.Bodies)
        found.append([len(body) for body in event.bodies.values()])
    return found


def test_applied_one_after_the_other_they_are_the_whole_snapshot() -> None:
    play = play_of(b"a body", b"")
    for piece_bytes in (1, 25, 1000):
        again = Play()
        again.experience.restore(from_records(to_records(play.experience.book.snapshot(), piece_bytes)), now=0.0)
        assert again.experience.book.snapshot() == play.experience.book.snapshot()
        again.experience.assert_closed()


def test_bodies_are_in_pieces_that_are_no_longer_than_asked_but_for_one_that_is_longer_by_itself() -> None:
    book = play_of(bytes(7), bytes(40)).experience.book
    records = list(to_records(book.snapshot(), piece_bytes=30))
    assert sizes(records) == [[7], [40], [10, 10, 10], [10, 10]]
    assert sizes(list(to_records(book.snapshot()))) == [[7, 40, 10, 10, 10, 10, 10]]


def test_the_first_record_has_no_bodies_and_without_any_it_is_the_only_one() -> None:
    play = play_of(b"said by a model")
    first, *_ = to_records(play.experience.book.snapshot())
    assert b"said by a model" not in first
    [snapshot] = events.decode(first)
    assert isinstance(snapshot, events.Snapshot)
    assert [sample.body for _, sample in snapshot.ledger.trained] == [b""] * 5
    assert len(list(to_records(Play().experience.book.snapshot()))) == 1


def test_the_book_goes_on_with_its_bodies() -> None:
    play = play_of(b"said by a model")
    list(to_records(play.experience.book.snapshot()))
    assert play.experience.book.ledger.sample("g0#0").body == b"said by a model"


def test_what_does_not_begin_with_a_snapshot_is_refused() -> None:
    bodies = events.encode([events.Bodies({"g0#0": b"said"})])
    for records in ([], [bodies], [events.encode([])]):
        with pytest.raises(LedgerError, match="does not begin with one"):
            from_records(records)


def test_a_snapshot_of_another_schema_is_refused() -> None:
    snapshot = msgspec.structs.replace(Play().experience.book.snapshot(), schema=99)
    with pytest.raises(LedgerError, match="schema 99"):
        from_records([events.encode([snapshot])])


def test_a_body_of_nobody_is_a_defect() -> None:
    with pytest.raises(LedgerError, match="sample g0#0 is not in flight"):
        Play().experience.book.apply(events.Bodies({"g0#0": b"said"}))
