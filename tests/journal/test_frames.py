"""The bytes of a journal file, and reading them after an accident."""

from __future__ import annotations

import io
import tracemalloc
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azr.journal import frames

MARKER = b"\xd7marker\x01"


def file_of(*bodies: bytes) -> bytes:
    """Records that were synced one by one."""
    content = frames.header(MARKER)
    for number, body in enumerate(bodies):
        content += frames.frame(MARKER, number, len(content), body) + body
    return content


class Read(NamedTuple):
    """What a file says of itself, and the records that it gives back."""

    records: list[bytes]
    next_sequence: int
    end: int
    torn: int
    damage: list[frames.Damage]


def read(data: bytes) -> Read:
    file = io.BytesIO(data)
    content = frames.survey(file, MARKER)
    records = list(frames.records(file, MARKER, content.end))
    assert content.marker == MARKER
    assert content.records == len(records)
    return Read(records, content.next_sequence, content.end, content.torn, content.damage)


def test_a_file_gives_back_its_records() -> None:
    data = file_of(b"one", b"", b"three")
    assert frames.read_marker(io.BytesIO(data)) == MARKER
    content = read(data)
    assert content.records == [b"one", b"", b"three"]
    assert (content.next_sequence, content.end, content.torn, content.damage) == (3, len(data), 0, [])


def test_an_empty_file_of_zeros_holds_no_records() -> None:
    data = frames.header(MARKER) + bytes(500)
    content = read(data)
    assert (content.records, content.end, content.torn, content.damage) == ([], frames.HEADER_BYTES, 500, [])


@pytest.mark.parametrize("cut", range(frames.FRAME_BYTES + 5))
def test_a_torn_tail_ends_the_file_wherever_it_is_torn(cut: int) -> None:
    whole = file_of(b"one", b"two")
    torn = file_of(b"one", b"two", b"three")[: len(whole) + cut]
    content = read(torn)
    assert content.records == [b"one", b"two"]
    assert (content.end, content.torn, content.damage) == (len(whole), cut, [])


def test_every_flipped_byte_in_the_middle_is_reported_where_it_is() -> None:
    data = file_of(b"one", b"two", b"three")
    second = frames.HEADER_BYTES + frames.FRAME_BYTES + 3
    third = second + frames.FRAME_BYTES + 3
    for position in range(second, third):
        broken = bytearray(data)
        broken[position] ^= 0x40
        content = read(bytes(broken))
        assert content.records == [b"one", b"three"], position
        assert content.damage == [frames.Damage(second, third, 1)], position


def test_a_hole_in_what_was_not_synced_is_a_torn_tail_whatever_follows_it() -> None:
    data = file_of(b"one", b"two")
    synced = len(data)
    for number in range(2, 6):
        data += frames.frame(MARKER, number, synced, b"body") + b"body"
    length = frames.FRAME_BYTES + 4
    for hole in range(4):
        start = synced + hole * length
        content = read(data[:start] + bytes(length) + data[start + length :])
        assert content.records == [b"one", b"two"] + [b"body"] * hole
        assert (content.end, content.damage) == (start, [])
    broken = data[: synced - 3] + bytes(3) + data[synced:]
    assert read(broken).damage == [frames.Damage(synced - frames.FRAME_BYTES - 3, synced, 1)]


def test_damage_says_how_many_records_are_missing() -> None:
    data = file_of(*(b"record" for _ in range(10)))
    length = frames.FRAME_BYTES + 6
    start = frames.HEADER_BYTES + 2 * length
    broken = data[:start] + bytes(3 * length) + data[start + 3 * length :]
    content = read(broken)
    assert len(content.records) == 7
    assert content.damage == [frames.Damage(start, start + 3 * length, 3)]


def test_records_cut_out_cleanly_are_missed_by_their_numbers() -> None:
    data = file_of(b"one", b"two", b"three")
    second = frames.HEADER_BYTES + frames.FRAME_BYTES + 3
    content = read(data[:second] + data[second + frames.FRAME_BYTES + 3 :])
    assert content.damage == [frames.Damage(second, second, 1)]


def test_bytes_between_records_are_damage_though_no_record_is_missing() -> None:
    data = file_of(b"one", b"two", b"three")
    second = frames.HEADER_BYTES + frames.FRAME_BYTES + 3
    content = read(data[:second] + b"rubbish" + data[second:])
    assert content.records == [b"one", b"two", b"three"]
    assert content.damage == [frames.Damage(second, second + 7, 0)]


def test_text_that_looks_like_a_record_of_another_file_is_not_one() -> None:
    # What a model writes may hold whole frames; it cannot know this file's marker.
    forged = frames.frame(b"guessed!", 7, 1 << 40, b"forged") + b"forged"
    torn = file_of(b"one", forged + b"rest of the record")[:-4]
    content = read(torn)
    assert content.records == [b"one"]
    assert content.damage == []


@pytest.mark.parametrize("spoil", [0, 3, 11, 13, 20, frames.HEADER_BYTES - 1])
def test_a_damaged_header_is_no_header(spoil: int) -> None:
    broken = bytearray(file_of(b"one"))
    broken[spoil] ^= 1
    assert frames.read_marker(io.BytesIO(broken)) is None


def test_too_short_for_a_header_is_no_journal() -> None:
    assert frames.read_marker(io.BytesIO(b"azr")) is None


def test_a_record_too_long_to_be_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MAX_RECORD", 10)
    with pytest.raises(ValueError, match="11 bytes is longer than 10"):
        frames.frame(MARKER, 0, 0, bytes(11))


@pytest.mark.parametrize("piece", [8, 9, 13, 64])
def test_records_and_what_is_broken_may_lie_across_the_pieces_that_are_read(
    piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same is found whatever the size of a piece; a marker that is cut by the end of one is no exception."""
    monkeypatch.setattr(frames, "PIECE_BYTES", piece)
    for rubbish in range(40):
        start = len(file_of(b"one"))
        data = file_of(b"one", b"a longer record, of more than one piece of the shorter ones", b"three")
        assert read(data).records[1].startswith(b"a longer record")
        spoiled = read(data[:start] + bytes(rubbish) + data[start:])
        assert len(spoiled.records) == 3
        assert spoiled.damage == ([frames.Damage(start, start + rubbish, 0)] if rubbish else [])


def test_a_file_is_judged_and_read_without_being_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen records of a quarter of a megabyte, each checked in four pieces."""
    size, count = 1 << 18, 16
    monkeypatch.setattr(frames, "PIECE_BYTES", size // 4)
    file = io.BytesIO(file_of(*(bytes([number]) * size for number in range(count))))
    tracemalloc.start()
    try:
        assert frames.survey(file, MARKER).records == count
        _, judged = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        lengths = list(map(len, frames.records(file, MARKER, len(file.getbuffer()))))
        _, handed_out = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert lengths == [size] * count
    assert judged < 3 * (size // 4), "two pieces at once at most, and never a whole record"
    assert handed_out < 1.5 * size, "one record at once, and a piece of the next"


@given(st.lists(st.binary(max_size=40), max_size=6), st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_is_cut_flipped_or_put_in_no_wrong_record_comes_out(bodies: list[bytes], data: st.DataObject) -> None:
    content = bytearray(file_of(*bodies))
    for _ in range(data.draw(st.integers(1, 3))):
        where = data.draw(st.integers(frames.HEADER_BYTES, len(content)))
        match data.draw(st.sampled_from(["cut", "flip", "insert"])):
            case "cut":
                del content[where : where + data.draw(st.integers(0, 30))]
            case "insert":
                content[where:where] = data.draw(st.binary(max_size=30))
            case _ if where < len(content):
                content[where] ^= data.draw(st.integers(1, 255))
    remaining = iter(bodies)
    found = read(bytes(content)).records
    assert all(any(body == record for body in remaining) for record in found), "in order, none invented"
