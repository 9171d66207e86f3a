"""How a run is told to end: by its own bounds, by Ctrl-C or a termination signal; once kindly, twice at once.

Ctrl-C, SIGTERM ──► first: `reason` is set: the step is finished, a checkpoint written, everything taken down
                └─► second: KeyboardInterrupt in the main thread, `insisted`: everything taken down without patience
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

_SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "termination"}


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


class Stop:
    """Why the run is to end, if it is."""

    def __init__(self, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.reason = ""
        self.by_signal = False
        self.insisted = False
        """Whether a second signal came: nobody is given time to finish any more."""
        self._tell, self._clock = tell, clock
        self._listens = False
        self._deadline: float | None = None

    def after(self, seconds: float) -> None:
        """End so many seconds from now; 0: never by time."""
        self._deadline = self._clock() + seconds if seconds else None

    def check(self) -> str:
        """The reason, now."""
        if not self.reason and self._deadline is not None and self._clock() >= self._deadline:
            self.reason = "its time is over"
        return self.reason

    def leave_if_signalled(self) -> None:
        """Raise if a signal came: there is no step to finish yet."""
        if self.by_signal:
            raise StoppedError(self.reason)

    def signalled(self, name: str) -> None:
        """A signal came; the second one interrupts."""
        if self.by_signal:
            self.insisted = True
            raise KeyboardInterrupt
        self.by_signal = True
        self.reason = self.reason or name
        self._tell(f"{name}: finishing the step, writing a checkpoint; once more leaves at once")

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Hear signals within the block; elsewhere than in the main thread there are none to hear."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._heard) for number in _SIGNALS}
        self._listens = True
        try:
            yield
        finally:
            self._listens = False
            for number, handler in before.items():
                signal.signal(number, handler)

    def listen_again(self) -> None:
        """Take the signals back from a library that has put its own handlers on them since: Ray does where it starts,
        below Python, and the driver would die of a SIGTERM (`ray job stop`, a pod that is deleted) then and there."""
        if self._listens:
            for number in _SIGNALS:
                signal.signal(number, self._heard)

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        self.signalled(_SIGNALS[signal.Signals(number)])
