"""The sandbox that the rest of azr holds: back ends on worker processes, behind plain and asyncio calls.

Owns admission and order; the work itself is the dispatcher's. Any number of threads and event loops may use one pool at
the same time.

      run_many ──┐                                                          ┌── worker 1
      run_async ─┴─► places (bounded) ──► tickets ──► Dispatcher's thread ──┼── worker 2
                          who is full waits            one per pool         └── …
                          ◄── answers, in the order of the jobs

Bounds: at most `queue_jobs` jobs are handed in and unanswered in the whole pool; each `run_many` holds at most
`queue_jobs` jobs that its caller has not yet taken the answers of. Who finds the pool full waits for
workers alone, for as long as the jobs ahead may take by their own limits, never for another caller to read its
answers.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self

from sandbox_wasm import registry
from sandbox_wasm.backpressure import Places
from sandbox_wasm.channel import Hello
from sandbox_wasm.cores import available_cores
from sandbox_wasm.delivery import Delivery, LoopDelivery, ThreadDelivery
from sandbox_wasm.dispatcher import Dispatcher, SandboxBrokenError, SandboxClosedError, SandboxError
from sandbox_wasm.protocol import Job, JobResult, Statistics
from sandbox_wasm.registry import Option
from sandbox_wasm.statistics import Recorder
from sandbox_wasm.ticket import Ticket

__all__ = ["SandboxBrokenError", "SandboxClosedError", "SandboxError", "SandboxPool", "open_sandbox"]

#: Jobs in the queue for each worker: what a worker holds ahead at most (64), and as many again waiting.
QUEUE_PER_WORKER = 128

#: Past a job's own limits, how long its worker may take to say so before it is killed. Back ends stop within 50 ms on
#: an idle machine; this only catches one that hangs.
GRACE_SECONDS = 2.0

#: How long a worker may take to be ready. Warm it takes a tenth of a second; the first one on a machine compiles the
#: guest, seconds on idle cores, and the others wait for it at a lock, up to the deadline of `sandbox_wasm.wasm.cache`,
#: which must come first, for it says what was waited for.
START_SECONDS = 360.0

#: How often a waiting caller makes sure that there is still somebody to wait for.
CHECK_SECONDS = 5.0

#: Jobs handed in by one `run_async` before other coroutines get a turn: some hundred microseconds of encoding.
JOBS_BETWEEN_BREATHS = 64


def open_sandbox(
    backend: str = "wasm",
    workers: int | None = None,
    *,
    queue_jobs: int | None = None,
    grace_seconds: float = GRACE_SECONDS,
    start_seconds: float = START_SECONDS,
    harden: bool = True,
    **options: Option,
) -> SandboxPool:
    """Open a pool of the named back end, `workers` processes (default: one a core), `options` going to the back end.

    Returns when the first worker is ready. Use it as a context manager, or close it.
    """
    return SandboxPool(
        backend,
        workers if workers is not None else available_cores(),
        options=options,
        queue_jobs=queue_jobs,
        grace_seconds=grace_seconds,
        start_seconds=start_seconds,
        harden=harden,
    )


class SandboxPool:
    """A `Sandbox` over worker processes. Thread-safe; leaves no process behind however it ends."""

    def __init__(
        self,
        backend: str,
        workers: int,
        *,
        options: dict[str, Option],
        queue_jobs: int | None = None,
        grace_seconds: float = GRACE_SECONDS,
        start_seconds: float = START_SECONDS,
        harden: bool = True,
    ) -> None:
        if workers < 1:
            raise ValueError(f"a sandbox pool needs at least one worker, not {workers}")
        registry.check_options(backend, registry.find_backend(backend), options)
        self.backend = backend
        self.workers = workers
        self.queue_jobs = queue_jobs if queue_jobs is not None else QUEUE_PER_WORKER * workers
        self._places = Places(self.queue_jobs)
        self._recorder = Recorder()
        self._dispatcher = Dispatcher(
            hello=Hello(backend=backend, options=options, harden=harden),
            workers=workers,
            places=self._places,
            recorder=self._recorder,
            grace_seconds=grace_seconds,
            start_seconds=start_seconds,
        )
        try:
            self._dispatcher.open()
        except BaseException:
            self._dispatcher.close()
            raise

    # ── plain ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def run_many(self, jobs: Iterable[Job]) -> Iterator[JobResult]:
        """Answer jobs in order. Lazy: reads `queue_jobs` jobs ahead of the answers taken, no further."""
        delivery = ThreadDelivery()
        unread: deque[Ticket] = deque()
        source = iter(jobs)
        try:
            job = next(source, None)
            while job is not None or unread:
                # With answers to hand over, never wait for a place: hand over the first of them instead.
                if job is not None and len(unread) < self.queue_jobs and self._take_place(wait=not unread):
                    unread.append(self._hand_in(job, delivery))
                    job = next(source, None)
                else:
                    yield delivery.wait(unread[0], self._dispatcher.check, CHECK_SECONDS)
                    unread.popleft()
        finally:
            self._abandon(unread)

    def _take_place(self, *, wait: bool) -> bool:
        if self._places.try_take():
            return True
        if not wait:
            return False
        future = self._places.wait()
        try:
            while True:
                try:
                    future.result(CHECK_SECONDS)
                    return True
                except TimeoutError:
                    self._dispatcher.check()
        except BaseException:
            self._places.withdraw(future)
            raise

    # ── asyncio ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def run_async(self, jobs: Sequence[Job]) -> list[JobResult]:
        """Answer jobs in order without blocking the event loop; waits while the pool's queue is full."""
        delivery = LoopDelivery()
        unread: deque[Ticket] = deque()
        results: list[JobResult] = []
        try:
            for count, job in enumerate(jobs, start=1):
                await self._take_place_async()
                unread.append(self._hand_in(job, delivery))
                if count % JOBS_BETWEEN_BREATHS == 0:
                    await asyncio.sleep(0)
            while unread:
                results.append(await delivery.wait(unread[0], self._dispatcher.check, CHECK_SECONDS))
                unread.popleft()
        finally:
            self._abandon(unread)
        return results

    async def _take_place_async(self) -> None:
        if self._places.try_take():
            return
        future = self._places.wait()
        try:
            granted = asyncio.wrap_future(future)
            while not (await asyncio.wait({granted}, timeout=CHECK_SECONDS))[0]:
                self._dispatcher.check()
            granted.result()
        except BaseException:
            self._places.withdraw(future)
            raise

    # ── both ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def statistics(self) -> Statistics:
        """What the pool has done since it opened. The rate is over the time in which it had work."""
        return self._recorder.snapshot(time.monotonic())

    def worker_ids(self) -> list[int]:
        """Process ids of the workers that are ready."""
        return self._dispatcher.worker_ids()

    def hardening(self) -> dict[str, str]:
        """How the workers are locked in: each measure, and whether it holds on this machine."""
        return self._dispatcher.hardening()

    def close(self) -> None:
        """Stop all workers; leaves no process behind. Who still waits for an answer gets `SandboxClosedError`."""
        self._dispatcher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _hand_in(self, job: Job, delivery: Delivery) -> Ticket:
        """Send a job on its way, for which a place was taken."""
        ticket = Ticket(job, delivery.settled)
        try:
            if pieces := ticket.first_pieces():
                self._dispatcher.submit(pieces)
                return ticket
        except BaseException:
            self._places.give_back(1)
            raise
        self._places.give_back(1)  # Answered without a worker.
        return ticket

    def _abandon(self, unread: Iterable[Ticket]) -> None:
        unanswered = [ticket for ticket in unread if not ticket.settled]
        if unanswered:
            self._dispatcher.cancel(unanswered)
