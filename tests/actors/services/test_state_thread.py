"""One thread owns the state; answers wait for the sync."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest

from actors.services.state_thread import ROUND, StateThread


class Disk:
    """A flush that can be held up, or fail."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.flushes = 0
        self.error: OSError | None = None
        self.changes = 0
        self.broken: list[BaseException] = []
        self.ticks = 0

    def flush(self) -> None:
        self.go.wait(5)
        if self.error is not None:
            raise self.error
        self.flushes += 1

    def thread(self, tick_seconds: float = 60.0) -> StateThread:
        def changed() -> None:
            self.changes += 1

        def tick() -> None:
            self.ticks += 1

        return StateThread(
            "state",
            flush=self.flush,
            tick=tick,
            tick_seconds=tick_seconds,
            changed=changed,
            broken=self.broken.append,
            fatal=(ArithmeticError,),
        )


def test_calls_run_one_after_the_other_in_the_order_in_which_they_came() -> None:
    disk, seen = Disk(), list[int]()
    thread = disk.thread()
    answers = [thread.submit(partial(seen.append, number)) for number in range(100)]
    for answer in answers:
        answer.result(5)
    thread.close()
    assert seen == list(range(100))


def test_nothing_is_answered_before_it_is_safe() -> None:
    disk = Disk()
    disk.go.clear()
    thread = disk.thread()
    done = threading.Event()
    answer = thread.submit(done.set)
    assert done.wait(5)
    assert not answer.done()
    disk.go.set()
    answer.result(5)
    thread.close()


def test_calls_that_came_while_the_disk_was_busy_share_one_sync() -> None:
    disk = Disk()
    disk.go.clear()
    thread = disk.thread()
    first = thread.submit(lambda: None)
    time.sleep(0.05)
    rest = [thread.submit(lambda: None) for _ in range(50)]
    disk.go.set()
    for answer in (first, *rest):
        answer.result(5)
    thread.close()
    assert thread.answered == 51
    assert disk.flushes <= 3, "one for the first call, one for the fifty, one when it closes"


def test_a_round_is_bounded() -> None:
    disk = Disk()
    disk.go.clear()
    thread = disk.thread()
    thread.submit(lambda: None)
    time.sleep(0.05)
    answers = [thread.submit(lambda: None) for _ in range(2 * ROUND)]
    disk.go.set()
    answers[-1].result(5)
    thread.close()
    assert disk.flushes >= 3


def test_an_error_of_a_call_is_its_own() -> None:
    disk = Disk()
    thread = disk.thread()
    bad, good = thread.submit(lambda: {0: 0}[1]), thread.submit(lambda: 7)
    assert good.result(5) == 7
    with pytest.raises(KeyError):
        bad.result(5)
    thread.close()


def test_an_error_after_which_the_state_cannot_be_trusted_ends_the_thread() -> None:
    disk = Disk()
    thread = disk.thread()
    with pytest.raises(ZeroDivisionError):
        thread.submit(lambda: 1 // 0).result(5)
    thread.close()
    assert [type(error) for error in disk.broken] == [ZeroDivisionError]
    with pytest.raises(ZeroDivisionError):
        thread.submit(lambda: 7).result(5)


def test_a_sync_that_fails_answers_all_that_waited_and_ends_the_thread() -> None:
    disk = Disk()
    disk.error = OSError("no space left")
    thread = disk.thread()
    answer = thread.submit(lambda: 7)
    with pytest.raises(OSError, match="no space"):
        answer.result(5)
    thread.close()
    assert [str(error) for error in disk.broken] == ["no space left"]
    with pytest.raises(OSError, match="no space"):
        thread.submit(lambda: 8).result(5)


def test_the_clock_ticks_when_nobody_calls() -> None:
    disk = Disk()
    thread = disk.thread(tick_seconds=0.02)
    deadline = time.monotonic() + 5
    while disk.ticks < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    thread.close()
    assert disk.ticks >= 3


def test_what_was_handed_in_before_the_end_is_still_done() -> None:
    disk, seen = Disk(), list[int]()
    thread = disk.thread()
    answers = [thread.submit(partial(seen.append, number)) for number in range(10)]
    thread.close()
    assert all(answer.done() for answer in answers)
    assert len(seen) == 10
    assert disk.changes >= 1
