"""The bound of a pool's queue: places that threads and event loops wait for side by side, first come, first served.

A place is held from the moment a job is handed in until its answer is known, not until somebody reads it; so whoever
waits for a place waits only for workers, and callers cannot block one another.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future


class Places:
    """`capacity` places, taken one at a time. Thread-safe."""

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"a queue needs at least one place, not {capacity}")
        self.capacity = capacity
        self._taken = 0
        self._lock = threading.Lock()
        self._waiting: deque[Future[None]] = deque()
        self._closed: BaseException | None = None

    @property
    def taken(self) -> int:
        """Places held now."""
        return self._taken

    def try_take(self) -> bool:
        """Take a place if one is free and nobody waits for it."""
        with self._lock:
            if self._closed is not None:
                raise self._closed
            return self._take_if_free()

    def wait(self) -> Future[None]:
        """A future, done when a place has been taken for whoever asked; `withdraw` stops the waiting."""
        future: Future[None] = Future()
        with self._lock:
            if self._closed is not None:
                raise self._closed
            if not self._take_if_free():
                self._waiting.append(future)
                return future
        future.set_result(None)
        return future

    def withdraw(self, future: Future[None]) -> None:
        """Stop waiting; a place that was granted meanwhile is given back."""
        if not future.cancel():
            future.add_done_callback(lambda done: None if done.exception() else self.give_back(1))

    def give_back(self, count: int) -> None:
        """Free places; those who wait longest get them."""
        granted: list[Future[None]] = []
        with self._lock:
            self._taken -= count
            assert self._taken >= 0, "more places given back than were taken"
            while self._waiting and self._taken < self.capacity:
                future = self._waiting.popleft()
                if future.set_running_or_notify_cancel():
                    self._taken += 1
                    granted.append(future)
        for future in granted:  # Outside the lock: a future's callbacks run here.
            future.set_result(None)

    def close(self, why: BaseException) -> None:
        """Refuse from now on, and refuse whoever waits."""
        with self._lock:
            self._closed = why
            waiting, self._waiting = self._waiting, deque()
        for future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_exception(why)

    def _take_if_free(self) -> bool:
        if self._waiting or self._taken >= self.capacity:
            return False
        self._taken += 1
        return True
