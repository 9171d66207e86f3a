"""Places in the queue: bounded, first come first served, and given back whatever happens to whoever waits."""

from __future__ import annotations

import threading

import pytest

from sandbox_wasm.backpressure import Places


def test_no_more_places_are_taken_than_there_are() -> None:
    places = Places(2)
    assert places.try_take()
    assert places.try_take()
    assert not places.try_take()
    assert places.taken == 2


def test_who_waits_longest_is_served_first_and_nobody_jumps_the_queue() -> None:
    places = Places(1)
    places.try_take()
    first, second = places.wait(), places.wait()
    places.give_back(1)
    assert first.done()
    assert not second.done()
    assert not places.try_take()


def test_who_stops_waiting_keeps_no_place() -> None:
    places = Places(1)
    places.try_take()
    impatient, patient = places.wait(), places.wait()
    places.withdraw(impatient)
    places.give_back(1)
    assert patient.done()
    places.give_back(1)
    assert places.taken == 0


def test_a_place_granted_to_somebody_who_has_just_left_is_given_back() -> None:
    places = Places(1)
    granted = places.wait()
    places.withdraw(granted)
    assert places.taken == 0


def test_closing_refuses_those_who_wait_and_those_who_come() -> None:
    places = Places(1)
    places.try_take()
    waiting = places.wait()
    places.close(RuntimeError("closed"))
    with pytest.raises(RuntimeError, match="closed"):
        waiting.result(0)
    with pytest.raises(RuntimeError, match="closed"):
        places.try_take()


def test_many_threads_never_exceed_the_bound_and_leave_nothing_taken() -> None:
    places, lock = Places(3), threading.Lock()
    inside = most = 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(300):
            places.wait().result(10)
            with lock:
                inside += 1
                most = max(most, inside)
            with lock:
                inside -= 1
            places.give_back(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert places.taken == 0
    assert 1 <= most <= 3


def test_a_queue_without_places_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one place"):
        Places(0)
