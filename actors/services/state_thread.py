"""The one thread that owns a service's state, and acknowledges what it did only when it is safe.

Hosted by the shards of both services. Their event loops hand functions in and never touch the state, so that no loop
waits for a disk. All calls that came in while the disk was busy share the next sync (group commit): the more wait, the
cheaper each becomes.

      event loop ── submit(call) ──► queue ──► thread: call, call, call ── flush (one sync) ──► answers ──► event loop
                                               └── every `tick_seconds`: tick (leases that ran out)

Who waits: a caller for at most the calls queued before it and two syncs. A flush that fails answers every call of its
round with the error and ends the thread through `broken`: what is on the disk is unknown until the journal is opened
anew, which a restart of the process does.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

Result = TypeVar("Result")

#: Calls that share one sync at most, so that the first of them does not wait for an endless queue.
ROUND = 256


class _Call(NamedTuple):
    act: Callable[[], Any]
    answer: Future[Any]


class StateThread:
    """Runs calls one after the other, and answers them after the flush that follows them."""

    def __init__(
        self,
        name: str,
        *,
        flush: Callable[[], None],
        tick: Callable[[], None],
        tick_seconds: float,
        changed: Callable[[], None],
        broken: Callable[[BaseException], None],
        fatal: tuple[type[Exception], ...] = (),
    ) -> None:
        """`fatal` are errors of calls after which the state cannot be trusted. `changed` is called after each round:
        whoever waits for something may look again. None of these may block."""
        self._flush, self._tick, self._changed, self._broken = flush, tick, changed, broken
        self._tick_seconds = tick_seconds
        self._fatal = fatal
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self.longest_flush = 0.0
        self.rounds = 0
        self.answered = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, act: Callable[[], Result]) -> Future[Result]:
        """Have it run in the thread; the answer comes when what it did is safe."""
        answer: Future[Result] = Future()
        if self._error is not None:
            answer.set_exception(self._error)
        else:
            self._calls.put(_Call(act, answer))
        return answer

    def close(self, timeout: float = 10.0) -> None:
        """Run what was handed in, then end."""
        self._calls.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        due = time.monotonic() + self._tick_seconds
        while True:
            calls = self._next_round(due)
            closing = bool(calls) and calls[-1] is None
            answers = [_outcome(call) for call in calls if call is not None]
            try:
                for outcome in answers:
                    if isinstance(outcome.error, self._fatal):
                        raise outcome.error
                if time.monotonic() >= due:
                    self._tick()
                    due = time.monotonic() + self._tick_seconds
                began = time.monotonic()
                self._flush()
                self.longest_flush = max(self.longest_flush, time.monotonic() - began)
            except BaseException as error:
                self._error = error
                for outcome in answers:
                    outcome.fail(error)
                self._broken(error)
                return
            self.rounds += 1
            self.answered += len(answers)
            for outcome in answers:
                outcome.settle()
            self._changed()
            if closing:
                return

    def _next_round(self, due: float) -> list[_Call | None]:
        """Calls that wait, at least one unless the tick is due first; nothing behind the end is taken."""
        calls: list[_Call | None] = []
        with contextlib.suppress(queue.Empty):
            calls.append(self._calls.get(timeout=max(0.0, due - time.monotonic())))
            while calls[-1] is not None and len(calls) < ROUND:
                calls.append(self._calls.get_nowait())
        return calls


class _Outcome(NamedTuple):
    """What became of a call; not told yet."""

    answer: Future[Any]
    result: Any = None
    error: Exception | None = None

    def settle(self) -> None:
        """Tell it, now that it is safe."""
        if self.answer.cancelled():
            return
        if self.error is not None:
            self.answer.set_exception(self.error)
        else:
            self.answer.set_result(self.result)

    def fail(self, error: BaseException) -> None:
        """Tell that it is not safe, and may never be."""
        if not self.answer.cancelled():
            self.answer.set_exception(error)


def _outcome(call: _Call) -> _Outcome:
    """Run a call."""
    if not call.answer.set_running_or_notify_cancel():
        return _Outcome(call.answer)
    try:
        return _Outcome(call.answer, result=call.act())
    except Exception as error:
        return _Outcome(call.answer, error=error)
