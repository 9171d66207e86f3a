"""One signal asks, two insist; a run also ends by its own clock."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from azr.run.stopping import HANG_UP, Stop, StoppedError, leave_on_termination, outliving_terminal, watched


@pytest.fixture
def terminal() -> Iterator[None]:
    """These tests may themselves have been begun by somebody who passes hang-ups over."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def test_nothing_ends_a_run_without_bounds() -> None:
    stop = Stop(print)
    stop.after(0)
    assert stop.check() == ""


def test_time_ends_a_run() -> None:
    now = [0.0]
    stop = Stop(print, clock=lambda: now[0])
    stop.after(60)
    now[0] = 59.0
    assert stop.check() == ""
    now[0] = 60.0
    assert stop.check() == "its time is over"
    assert not stop.by_signal


@pytest.mark.parametrize(("number", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "termination")])
def test_the_first_signal_asks_and_the_second_interrupts(number: signal.Signals, name: str) -> None:
    told: list[str] = []
    stop = Stop(told.append)
    before = signal.getsignal(number)
    with stop.listening():
        os.kill(os.getpid(), number)
        assert stop.check() == name
        assert told == [f"{name}: finishing the step, writing a checkpoint; once more leaves at once"]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        for _ in range(3):
            os.kill(os.getpid(), number)  # nothing is left that could be given up, and something is being taken down
    assert stop.insisted
    assert len(told) == 1
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("before", [[], ["Ctrl-C"]])
def test_when_everything_is_taken_down_a_signal_hurries_and_interrupts_nothing(before: list[str]) -> None:
    """How the run ended is certain by then; a terminal that goes is nobody's wish."""
    stop = Stop(print)
    for name in before:
        stop.signalled(name)
    stop.taken_down()
    stop.signalled(HANG_UP)
    assert not stop.hurried
    for _ in range(3):
        stop.signalled("termination")
    assert (stop.hurried, stop.by_signal, stop.reason) == (True, bool(before), "".join(before))


def test_a_signal_says_nothing_by_itself_for_it_may_come_in_the_middle_of_saying_something() -> None:
    told: list[str] = []
    stop = Stop(told.append)
    stop.signalled("termination")
    assert told == []
    with pytest.raises(StoppedError):
        stop.leave_if_signalled()
    assert told == ["termination: finishing the step, writing a checkpoint; once more leaves at once"]
    assert stop.check() == "termination"
    assert len(told) == 1


def test_a_terminal_that_goes_asks_and_insists_on_nothing_however_often_it_is_told(terminal: None) -> None:
    told: list[str] = []
    stop = Stop(told.append)
    with stop.listening():
        for _ in range(3):
            signal.raise_signal(signal.SIGHUP)
    assert (stop.check(), stop.by_signal, stop.insisted) == ("hang-up", True, False)
    assert told == ["hang-up: finishing the step, writing a checkpoint"]
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL


@pytest.mark.parametrize("names", [[HANG_UP, "termination", HANG_UP], ["termination", HANG_UP]])
def test_a_session_that_is_closed_asks_once_though_it_sends_two_signals(names: list[str]) -> None:
    stop = Stop(print)
    for name in names:
        stop.signalled(name)
    assert stop.reason == names[0]
    with pytest.raises(KeyboardInterrupt):
        stop.signalled("termination")


def test_who_begins_it_without_a_terminal_has_hang_ups_passed_over(terminal: None) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop = Stop(print)
    with stop.listening():
        stop.listen_again()
        signal.raise_signal(signal.SIGHUP)
    assert not stop.by_signal
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_who_outlives_the_terminal_is_told_nothing_of_its_end(terminal: None) -> None:
    child = [sys.executable, "-c", "import signal; signal.raise_signal(signal.SIGHUP); print('lives')"]
    with outliving_terminal():
        done = subprocess.run(child, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "lives\n")
    after = subprocess.run(child, capture_output=True, text=True, timeout=60, check=False)
    assert after.returncode == -signal.SIGHUP


def test_signals_are_taken_back_from_a_library_that_took_them() -> None:
    told: list[str] = []
    stop = Stop(told.append)
    before = signal.getsignal(signal.SIGTERM)
    stop.listen_again()
    assert signal.getsignal(signal.SIGTERM) is before, "who does not listen takes nothing"
    with stop.listening():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stop.listen_again()
        signal.raise_signal(signal.SIGTERM)
    assert stop.reason == "termination"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_short_job_is_ended_by_a_termination_as_by_ctrl_c() -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        leave_on_termination()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_before_training_a_signal_leaves_at_the_next_look() -> None:
    stop = Stop(print)
    stop.leave_if_signalled()
    stop.signalled("Ctrl-C")
    with pytest.raises(StoppedError, match="Ctrl-C"):
        stop.leave_if_signalled()


def test_the_second_signal_takes_everybodys_time_to_finish() -> None:
    stop = Stop(print)
    stop.signalled("Ctrl-C")
    assert not stop.insisted
    with pytest.raises(KeyboardInterrupt):
        stop.signalled("Ctrl-C")
    assert stop.insisted


class TestWork:
    def test_that_is_done_is_answered(self) -> None:
        async def work() -> int:
            await asyncio.sleep(0)
            return 7

        assert asyncio.run(watched(work(), lambda: None)) == 7

    def test_that_fails_says_so(self) -> None:
        async def work() -> None:
            raise ValueError("bad")

        with pytest.raises(ValueError, match="bad"):
            asyncio.run(watched(work(), lambda: None))

    def test_is_ended_by_a_signal_in_the_middle_and_may_clean_up(self) -> None:
        """An evaluation lasts minutes; whoever presses Ctrl-C does not wait for it."""
        stop, ends = Stop(print), list[str]()

        async def work() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                ends.append("closed")

        looks = 0

        def look() -> None:
            nonlocal looks
            looks += 1
            if looks == 3:
                stop.signalled("Ctrl-C")
            stop.leave_if_signalled()

        began = time.monotonic()
        with pytest.raises(StoppedError, match="Ctrl-C"):
            asyncio.run(watched(work(), look, every=0.01))
        assert time.monotonic() - began < 10.0
        assert ends == ["closed"]


def test_an_earlier_reason_stays_when_a_signal_comes() -> None:
    stop = Stop(print, clock=iter([0.0, 100.0]).__next__)
    stop.after(60)
    stop.check()
    stop.signalled("Ctrl-C")
    assert stop.reason == "its time is over"


def test_elsewhere_than_in_the_main_thread_there_is_nothing_to_hear() -> None:
    failures: list[BaseException] = []

    def elsewhere() -> None:
        try:
            with Stop(print).listening():
                pass
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert failures == []
