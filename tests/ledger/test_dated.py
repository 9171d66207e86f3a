"""Ids are remembered under the step with which they came, and go with it."""

from __future__ import annotations

import random

from azr.ledger.dated import DatedIds, earlier


def test_an_id_is_known_until_its_step_goes() -> None:
    ids = DatedIds()
    for name, step in (("a", 3), ("b", 5), ("c", 3), ("d", 4)):
        ids.add(name, step)
    ids.forget(before=3)
    assert all(name in ids for name in "abcd")
    ids.forget(before=4)
    assert [name in ids for name in "abcd"] == [False, True, False, True]
    assert ids.state() == {"b": 5, "d": 4}


def test_an_id_that_is_remembered_keeps_its_step() -> None:
    ids = DatedIds()
    ids.add("a", 3)
    ids.add("a", 9)
    assert ids.state() == {"a": 3}
    ids.forget(before=4)
    assert "a" not in ids
    ids.add("a", 9)
    ids.forget(before=9)
    assert ids.state() == {"a": 9}, "once it was let go of it is as good as new"


def test_what_was_written_comes_back() -> None:
    ids = DatedIds({"a": 3, "b": 5})
    ids.forget(before=4)
    assert DatedIds(ids.state()).state() == {"b": 5}


def test_earlier_steps_are_those_before_another() -> None:
    assert earlier([5, 3, 4], 4) == [3]
    assert earlier([], 4) == []


def test_whatever_comes_and_goes_it_is_what_looking_at_every_id_would_leave() -> None:
    draw = random.Random(7)
    ids, plain = DatedIds(), dict[str, int]()
    for _ in range(2_000):
        name, step = str(draw.randrange(60)), draw.randrange(40)
        if draw.random() < 0.8:
            ids.add(name, step)
            plain.setdefault(name, step)
        else:
            ids.forget(step // 2)
            plain = {name: its for name, its in plain.items() if its >= step // 2}
        assert ids.state() == plain
        assert all((str(name) in ids) == (str(name) in plain) for name in range(60))
