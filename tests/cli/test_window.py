"""Room for lines under way: whoever reads waits for whoever writes."""

from __future__ import annotations

import threading

from azr.cli.window import Window


def test_a_reader_waits_for_room_and_a_large_chunk_goes_alone() -> None:
    window = Window(lines=2, size=100, results=0)
    assert window.enter(1, 500), "it is alone"
    entered = threading.Event()
    thread = threading.Thread(target=lambda: window.enter(1, 10) and entered.set())
    thread.start()
    assert not entered.wait(0.1)
    window.leave(1, 500)
    assert entered.wait(5)
    thread.join()


def test_what_may_come_of_a_chunk_counts_until_it_is_known_what_came_of_it() -> None:
    window = Window(lines=9, size=100, results=100)
    assert window.enter(1, 1, 500), "it is alone"
    entered = threading.Event()
    thread = threading.Thread(target=lambda: window.enter(1, 1, 60) and entered.set())
    thread.start()
    assert not entered.wait(0.1)
    window.shrink(460)
    assert entered.wait(5)
    thread.join()


def test_lines_are_counted_and_not_the_chunks_that_they_come_in() -> None:
    """Of lines with many inputs a chunk holds few."""
    window = Window(lines=4, size=100, results=0)
    assert window.enter(3, 1)
    assert window.enter(1, 1)
    entered = threading.Event()
    thread = threading.Thread(target=lambda: window.enter(2, 1) and entered.set())
    thread.start()
    assert not entered.wait(0.1)
    window.leave(3, 1)
    assert entered.wait(5)
    thread.join()


def test_a_waiting_reader_is_sent_home_when_nobody_writes_any_more() -> None:
    window = Window(lines=1, size=100, results=0)
    window.enter(1, 1)
    threading.Timer(0.05, window.close).start()
    assert not window.enter(1, 1)
