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
    ) -> None:
        """`changed` is called after each round, whoever waits for something may look again; none of these may block."""
        self._flush, self._tick, self._changed, self._broken = flush, tick, changed, broken
        self._tick_seconds = tick_seconds
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
                if time.monotonic() >= due:
                    self._tick()
                    due = time.monotonic() + self._tick_seconds
                began = time.monotonic()
                self._flush()
                self.longest_flush = max(self.longest_flush, time.monotonic() - began)
            except BaseException as error:
                self._error = error
                for answer, _ in answers:
                    _settle(answer, error)
                self._broken(error)
                return
            self.rounds += 1
            self.answered += len(answers)
            for answer, settle in answers:
                settle(answer)
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


def _outcome(call: _Call) -> tuple[Future[Any], Callable[[Future[Any]], None]]:
    """Run a call; what became of it is told later."""
    if not call.answer.set_running_or_notify_cancel():
        return call.answer, lambda _: None
    try:
        result = call.act()
    except Exception as error:
        failure = error
        return call.answer, lambda answer: answer.set_exception(failure)
    return call.answer, lambda answer: answer.set_result(result)


def _settle(answer: Future[Any], error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)
