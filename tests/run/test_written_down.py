"""What a driver does when everything is taken down: nothing that a signal could break off, and how it ended stands."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from azr.errors import AzrError
from azr.run.driver import Driver
from azr.run.tracking import TrackingBoard


@pytest.fixture
def unheard() -> Iterator[list[int]]:
    """Signals that nobody listened to: each would have ended the process."""
    signals: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _frame: signals.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    yield signals
    for number, handler in before.items():
        signal.signal(number, handler)


def play(driver: Driver, error: BaseException | None) -> None:
    """Let there be nothing to do but this."""

    def played(_stack: contextlib.ExitStack, _tracking: object) -> str:
        if error is not None:
            raise error
        return "its steps are done"

    driver._play = played  # type: ignore[method-assign, assignment]
    driver.config.tracking.mlflow = "off"


def sends(*numbers: signal.Signals, waits: float) -> Callable[..., None]:
    """Something slow, in the middle of which signals come."""

    def act(*_words: object) -> None:
        for number in numbers:
            os.kill(os.getpid(), number)
            time.sleep(0.05)
        threading.Event().wait(waits)

    return act


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("slow", ["the report", "trackers"])
def test_a_signal_ends_the_wait_for_what_is_written_down_last(
    slow: str,
    number: signal.Signals,
    driver: Driver,
    said: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    unheard: list[int],
) -> None:
    play(driver, None)
    monkeypatch.setattr("azr.run.driver.HURRIED_SECONDS", 0.3)
    act = sends(number, number, waits=15.0)
    if slow == "trackers":
        monkeypatch.setattr(TrackingBoard, "finish", act)
    else:
        monkeypatch.setattr("azr.run.driver.write_report", act)
    began = time.monotonic()
    ending = driver.run()
    assert time.monotonic() - began < 10.0
    assert (ending.status, ending.reason) == ("finished", "its steps are done")
    assert unheard == []
    assert f"not waited for: {slow}" in said.getvalue()


def test_a_terminal_that_goes_then_hurries_nobody(
    driver: Driver, said: io.StringIO, monkeypatch: pytest.MonkeyPatch, unheard: list[int]
) -> None:
    play(driver, None)
    monkeypatch.setattr(TrackingBoard, "finish", sends(signal.SIGHUP, signal.SIGHUP, waits=0.0))
    assert driver.run().status == "finished"
    assert (unheard, said.getvalue()) == ([], "")


def test_whoever_presses_ctrl_c_then_still_hears_why_the_run_failed(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, unheard: list[int]
) -> None:
    failed = AzrError("the sandbox runs no program", "look at its log")
    play(driver, failed)
    monkeypatch.setattr(TrackingBoard, "finish", sends(signal.SIGINT, signal.SIGINT, waits=0.0))
    with pytest.raises(AzrError) as raised:
        driver.run()
    assert raised.value is failed
    assert unheard == []
