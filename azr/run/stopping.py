"""How a run is told to end: by its own bounds, by Ctrl-C or a termination signal; once kindly, twice at once.

Ctrl-C, SIGTERM ──► first: `reason` is set: the step is finished, a checkpoint written, everything taken down
                ├─► second: KeyboardInterrupt in the main thread, `insisted`: everything taken down without patience
                └─► all others are passed over: there is nothing left that could be given up
SIGHUP ───────────► as the first of them, unless it is passed over (`nohup`); never as the second

Once everything is taken down a signal interrupts nothing: Ctrl-C and SIGTERM set `hurried`, nobody waits for the report
and for trackers any longer.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any, TypeVar

Result = TypeVar("Result")

#: The terminal is gone: a window was closed, a connection dropped.
HANG_UP = "hang-up"
_SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "termination", signal.SIGHUP: HANG_UP}


class StoppedError(Exception):
    """The run was told to end while it did not train: before it had begun to, or in its last evaluation."""


async def watched(work: Coroutine[Any, Any, Result], look: Callable[[], object], every: float = 0.25) -> Result:
    """The result of the work, during which `look` is called so often; what it raises ends the work and is raised."""
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait([task], timeout=every))[0]:
            look()
    except BaseException:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise
    return task.result()


def leave_on_termination() -> None:
    """Have a SIGTERM end this process as Ctrl-C does, with everything taken down; for short jobs, which have nothing to
    finish. Where Ray is used this is called once it stands: it takes the signal for itself where it starts, and would
    end the process there."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)


@contextlib.contextmanager
def outliving_terminal() -> Iterator[None]:
    """Processes that are started within the block, and by them, do not hear that the terminal is gone: everybody who
    was started from it is told so, and without them no step could be finished. Ray does likewise for Ctrl-C."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def raised(*, steps: int, minutes: float, step: int, seconds: float) -> str:
    """The words by which a run that stands there goes on: the bounds that it has reached, doubled; empty where there
    are none. 0 is no bound, and with less than a second left no driver begins anything."""
    words = [f"run.steps={2 * step}"] if 0 < steps <= step else []
    if minutes and seconds >= 60.0 * minutes - 1.0:
        words.append(f"run.minutes={max(1, round(2 * max(minutes, seconds / 60.0)))}")
    return " ".join(words)


class Stop:
    """Why the run is to end, if it is."""

    def __init__(self, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.reason = ""
        self.by_signal = False
        self.insisted = False
        """Whether a second signal came: nobody is given time to finish any more."""
        self.hurried = False
        """Whether somebody asked when everything was taken down: nobody waits for what is only written down."""
        self._down = False
        self._tell, self._clock = tell, clock
        self._untold = ""
        """What a person should hear of a signal. Its handler may have come in the middle of a write to the very stream
        that it would be told on, so that whoever asks next tells it."""
        self._asked = False
        """Whether somebody asked it to end, who may insist."""
        self._heeded: list[signal.Signals] = []
        """Signals that are listened to now."""
        self._deadline: float | None = None

    def after(self, seconds: float) -> None:
        """End so many seconds from now; 0: never by time."""
        self._deadline = self._clock() + seconds if seconds else None

    def check(self) -> str:
        """The reason, now."""
        self._tell_signal()
        if not self.reason and self._deadline is not None and self._clock() >= self._deadline:
            self.reason = "its time is over"
        return self.reason

    def leave_if_signalled(self) -> None:
        """Raise if a signal came: there is no step to finish yet."""
        self._tell_signal()
        if self.by_signal:
            raise StoppedError(self.reason)

    def taken_down(self) -> None:
        """Everything is taken down, and how the run ended is certain: no signal may change that any more."""
        self._down = True

    def signalled(self, name: str) -> None:
        """A signal came; the second one interrupts. A hang-up is nobody's wish and counts as neither: it comes from the
        shell and once more from the system, and a session that is closed may send a termination along."""
        if self._down:
            self.hurried = self.hurried or name != HANG_UP
            return
        twice = ""
        if name == HANG_UP:
            if self.by_signal:
                return
        elif self.insisted:
            return
        elif self._asked:
            self.insisted = True
            raise KeyboardInterrupt
        else:
            self._asked, twice = True, "; once more leaves at once"
        self.by_signal = True
        self.reason = self.reason or name
        self._untold = f"{name}: finishing the step, writing a checkpoint{twice}"

    def _tell_signal(self) -> None:
        untold, self._untold = self._untold, ""
        if untold:
            self._tell(untold)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Hear signals within the block; elsewhere than in the main thread there are none to hear."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # Who begins a run with `nohup` has asked that hang-ups be passed over.
        nohup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        self._heeded = [number for number in _SIGNALS if not (nohup and number == signal.SIGHUP)]
        before = {number: signal.signal(number, self._heard) for number in self._heeded}
        try:
            yield
        finally:
            self._heeded = []
            for number, handler in before.items():
                signal.signal(number, handler)

    def listen_again(self) -> None:
        """Take the signals back from a library that has put its own handlers on them since: Ray does where it starts,
        below Python, and the driver would die of a SIGTERM (`ray job stop`, a pod that is deleted) then and there."""
        for number in self._heeded:
            signal.signal(number, self._heard)

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        self.signalled(_SIGNALS[signal.Signals(number)])
