"""Room for lines under way: whoever reads waits for whoever writes."""

from __future__ import annotations

import threading
from collections.abc import Callable

from azr.cli.window import Window


def waits(*, enter: Callable[[], bool], until: Callable[[], None]) -> bool:
    """Whether a reader that enters waits until room is made, and is let in then."""
    entered = threading.Event()
    thread = threading.Thread(target=lambda: enter() and entered.set())
    thread.start()
    waited = not entered.wait(0.1)
    until()
    came = entered.wait(5)
    thread.join(5)
    return waited and came


def test_a_reader_waits_for_room_and_a_large_chunk_goes_alone() -> None:
    window = Window(lines=2, size=100, results=0)
    assert window.enter(1, 500), "it is alone"
    assert waits(enter=lambda: window.enter(1, 10), until=lambda: window.leave(1, 500))


def test_what_may_come_of_a_chunk_counts_until_it_is_known_what_came_of_it() -> None:
    window = Window(lines=9, size=100, results=100)
    assert window.enter(1, 1, 500), "it is alone"
    assert waits(enter=lambda: window.enter(1, 1, 60), until=lambda: window.shrink(460))


def test_lines_are_counted_and_not_the_chunks_that_they_come_in() -> None:
    """Of lines with many inputs a chunk holds few."""
    window = Window(lines=4, size=100, results=0)
    assert window.enter(3, 1)
    assert window.enter(1, 1)
    assert waits(enter=lambda: window.enter(2, 1), until=lambda: window.leave(3, 1))


def test_a_waiting_reader_is_sent_home_when_nobody_writes_any_more() -> None:
    window = Window(lines=1, size=100, results=0)
    window.enter(1, 1)
    threading.Timer(0.05, window.close).start()
    assert not window.enter(1, 1)
