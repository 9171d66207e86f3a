"""The pool's thread: carries jobs to worker processes and answers back, and replaces workers that die.

Owns the worker processes and the schedule. Callers reach it through `submit` and `cancel`, which never wait; everything
else happens in its one thread, which waits only in `select`, for the next deadline at most.

      callers' threads and loops          this thread                      worker processes
      submit ──► commands ──► Schedule ──► hand_out ── Assign ──► socket ──► run
                                 ▲ ▲                                          │
        on_settled ◄── Ticket ◄──┘ └── answered ◄──────────────── socket ◄────┘
                                   └── worker_died ◄── process descriptor, nonsense, overdue

While all workers have enough to do it rests a few milliseconds between rounds and takes many answers at once, so
that it costs the machine little; when a worker is about to run dry it does not.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import threading
import time
from collections.abc import Callable, Iterable, Sequence

import msgspec

from sandbox_wasm.backpressure import Places
from sandbox_wasm.channel import UNSOUND, Assign, ChannelError, Hello, Ready, Revoke, ToWorker
from sandbox_wasm.schedule import Schedule
from sandbox_wasm.statistics import Recorder
from sandbox_wasm.ticket import Piece, Ticket
from sandbox_wasm.worker_process import WorkerProcess

_log = logging.getLogger(__name__)

#: How long answers may lie while every worker has work for twice as long. Shorter rests are not worth their system
#: call.
LONGEST_REST_SECONDS = 0.005
SHORTEST_REST_SECONDS = 0.0005

#: Generations of workers that may fail to start, one after the other, before the pool gives up: one may be bad luck,
#: three are a cause. Workers that were started together and fail together, all at the same lock, failed once.
START_ATTEMPTS = 3

#: How long idle workers get to leave by themselves when the pool closes, before they are killed like the busy ones.
LEAVE_SECONDS = 0.5

#: How long closing may take in all before the caller is told that something is stuck.
CLOSE_SECONDS = 20.0


class SandboxError(Exception):
    """The pool itself failed; a program that misbehaves never causes one."""


class SandboxClosedError(SandboxError):
    """The pool was closed while, or before, the answer was wanted."""


class SandboxBrokenError(SandboxError):
    """Workers cannot be started, programs may have reached one another, or the pool's thread broke down."""


class Dispatcher:
    """Worker processes and the thread that serves them."""

    def __init__(
        self,
        *,
        hello: Hello,
        workers: int,
        places: Places,
        recorder: Recorder,
        grace_seconds: float,
        start_seconds: float,
    ) -> None:
        self._hello = hello
        self._wanted = workers
        self._places = places
        self._recorder = recorder
        self._start_seconds = start_seconds
        self._schedule = Schedule(grace_seconds)
        self._workers: dict[int, WorkerProcess] = {}
        self._next_number = 0
        self._start_failures = 0
        self._open: set[Ticket] = set()
        self._answered = 0  # Tickets settled in this round; their places are given back together.
        self._commands: list[Piece | Sequence[Ticket]] = []  # A piece to run, or tickets nobody waits for any more.
        self._commands_lock = threading.Lock()
        self._listening = False
        self._stopping = False
        self._failure: SandboxError | None = None
        self._first_ready = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._main, name="azr-sandbox-pool", daemon=True)

    # ── callers' side ───────────────────────────────────────────────────────────────────────────────────────────────

    def open(self) -> None:
        """Start the workers and wait for the first of them."""
        self._thread.start()
        self._first_ready.wait(START_ATTEMPTS * (self._start_seconds + CLOSE_SECONDS))
        self.check()

    def submit(self, pieces: Sequence[Piece]) -> None:
        """Hand in the pieces of a job for which a place was taken. Raises once the pool is closed or broken."""
        with self._commands_lock:
            if self._failure is not None:
                raise self._failure
            self._commands.extend(pieces)
            self._ring()

    def cancel(self, tickets: Sequence[Ticket]) -> None:
        """Nobody waits for these any more; their places are given back."""
        with self._commands_lock:
            if self._failure is not None:
                return
            self._commands.append(tickets)
            self._ring()

    def check(self) -> None:
        """Raise if no answer can come any more."""
        if self._failure is not None:
            raise self._failure
        if not self._thread.is_alive():
            raise SandboxBrokenError(
                "the sandbox pool's thread is gone; was this process forked from the one that opened it?"
            )

    def worker_ids(self) -> list[int]:
        """Operating-system numbers of the workers that are ready."""
        return [worker.process_id for worker in self._workers.copy().values() if worker.ready]

    def hardening(self) -> dict[str, str]:
        """What the newest worker that is ready said about its own locks."""
        ready = [worker.hardening for worker in self._workers.copy().values() if worker.ready]
        return dict(ready[-1]) if ready else {}

    def close(self) -> None:
        """End all workers and the thread. Safe to call twice and from anywhere but the pool's own thread."""
        self._stopping = True
        with self._commands_lock:
            if self._failure is None:
                self._ring(loudly=True)
        if self._thread.is_alive():
            self._thread.join(CLOSE_SECONDS)
            if self._thread.is_alive():
                raise SandboxBrokenError(f"the pool did not end its workers within {CLOSE_SECONDS:g} s")

    def _ring(self, *, loudly: bool = False) -> None:
        """Wake the thread if it wants to be. With the lock held and no failure, for then the bell is open."""
        if self._listening or loudly:
            os.eventfd_write(self._bell, 1)

    # ── the thread ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _main(self) -> None:
        failure: SandboxError = SandboxClosedError("the sandbox pool was closed")
        try:
            self._selector.register(self._bell, selectors.EVENT_READ, self._on_bell)
            while len(self._workers) < self._wanted:
                self._start_worker()
            while not self._stopping:
                self._round()
        except SandboxError as error:
            failure = error
        except BaseException as error:
            failure = SandboxBrokenError(f"the sandbox pool's thread broke down: {type(error).__name__}: {error}")
            failure.__cause__ = error
        finally:
            self._finish(failure)

    def _round(self) -> None:
        # New work is worth waking up for only if a worker wants it; otherwise the next answer is soon enough.
        self._listening = not self._open or self._schedule.hungry()
        timeout = 0.0 if self._commands else self._time_left()
        events = self._selector.select(timeout)
        self._listening = False
        for key, mask in events:
            key.data(mask)
        self._take_commands()
        now = time.monotonic()
        for number, allowed in self._schedule.overdue(now):
            self._lose(number, f"gave no answer within {allowed:g} s, its limits and a grace, and was stopped")
        for worker in [worker for worker in self._workers.values() if not worker.ready]:
            if now - worker.started >= self._start_seconds:
                self._lose(worker.number, f"was not ready within {self._start_seconds:g} s")
        for number, revoked in self._schedule.revoke(now).items():
            self._send(self._workers[number], Revoke(revoked))
        for number, pieces in self._schedule.hand_out(now).items():
            jobs = [(assigned, msgspec.Raw(piece.body)) for assigned, piece in pieces]
            self._send(self._workers[number], Assign(jobs))
        if self._answered:
            self._places.give_back(self._answered)
            self._answered = 0
            if not self._open:
                self._recorder.work_ended(now)
        if (rest := min(self._schedule.covered_seconds() / 2, LONGEST_REST_SECONDS)) >= SHORTEST_REST_SECONDS:
            time.sleep(rest)

    def _time_left(self) -> float | None:
        moments = [worker.started + self._start_seconds for worker in self._workers.values() if not worker.ready]
        if (due := self._schedule.next_moment()) is not None:
            moments.append(due)
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _take_commands(self) -> None:
        with self._commands_lock:
            commands, self._commands = self._commands, []
        pieces: list[Piece] = []
        for command in commands:
            if isinstance(command, Piece):
                pieces.append(command)
                self._open.add(command.ticket)
            else:
                abandoned = [ticket for ticket in command if ticket in self._open]
                self._open.difference_update(abandoned)
                self._schedule.cancel(abandoned)
                self._answered += len(abandoned)
        # One that was handed in and cancelled in the same round is known to nobody yet who would drop its pieces.
        if pieces := [piece for piece in pieces if piece.ticket in self._open]:
            self._recorder.work_began(time.monotonic())
            self._schedule.submit(pieces)

    def _settle(self, tickets: Iterable[Ticket]) -> None:
        for ticket in tickets:
            if ticket in self._open:
                self._open.remove(ticket)
                self._answered += 1
                if ticket.result is not None:
                    self._recorder.answered(ticket.result)
                ticket.tell()

    # ── workers ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _start_worker(self) -> None:
        self._next_number += 1
        worker = WorkerProcess(self._next_number, self._hello, time.monotonic(), self._start_failures)
        self._workers[worker.number] = worker
        self._watch(worker.connection.fileno(), lambda events: self._on_socket(worker, events))
        self._watch(worker.errors.fileno(), lambda _: self._on_errors(worker))
        self._watch(worker.life, lambda _: self._lose(worker.number, "died"))

    def _watch(self, descriptor: int, callback: Callable[[int], None]) -> None:
        self._selector.register(descriptor, selectors.EVENT_READ, callback)

    def _send(self, worker: WorkerProcess, message: ToWorker) -> None:
        """Write what the socket takes, and the rest when it takes more."""
        worker.send(message)
        if not worker.flush():
            key = self._selector.get_key(worker.connection)
            self._selector.modify(worker.connection, selectors.EVENT_READ | selectors.EVENT_WRITE, key.data)

    def _on_bell(self, _: int) -> None:
        os.eventfd_read(self._bell)

    def _on_errors(self, worker: WorkerProcess) -> None:
        if worker.number in self._workers and not worker.read_errors():
            self._selector.unregister(worker.errors)

    def _on_socket(self, worker: WorkerProcess, events: int) -> None:
        if worker.number not in self._workers:
            return
        if events & selectors.EVENT_WRITE and worker.flush():
            self._selector.modify(
                worker.connection, selectors.EVENT_READ, self._selector.get_key(worker.connection).data
            )
        if events & selectors.EVENT_READ:
            try:
                alive = self._take_messages(worker)
            except (ChannelError, msgspec.MsgspecError) as error:
                self._lose(worker.number, f"sent nonsense ({error}) and was stopped")
                return
            if not alive:
                self._lose(worker.number, "died")

    def _take_messages(self, worker: WorkerProcess) -> bool:
        """Act on what the worker said; false when it has closed its end."""
        messages = worker.receive()
        if messages is None:
            return False
        now = time.monotonic()
        for message in messages:
            if isinstance(message, Ready):
                self._worker_ready(worker, message)
                continue
            if message.result is not None:
                self._recorder.ran(message.seconds)
            ticket = self._schedule.answered(worker.number, message, now)
            if ticket is not None:
                self._settle([ticket])
        return True

    def _worker_ready(self, worker: WorkerProcess, message: Ready) -> None:
        if worker.ready:
            raise ChannelError("a worker said twice that it was ready")
        worker.ready = True
        worker.hardening = message.hardening
        self._start_failures = 0
        self._schedule.worker_ready(worker.number)
        self._first_ready.set()

    def _lose(self, number: int, how: str) -> None:
        """A worker is dead or to be: take its last answers, give back what it held, put another there."""
        worker = self._workers.get(number)
        if worker is None:
            return
        with contextlib.suppress(ChannelError, msgspec.MsgspecError):
            while worker.received_more() and self._take_messages(worker):
                pass
        del self._workers[number]
        for descriptor in (worker.connection, worker.errors, worker.life):
            with contextlib.suppress(KeyError):
                self._selector.unregister(descriptor)
        ending = worker.end()
        why = f"sandbox worker {how}"
        last_words = _told(worker.last_words())
        if how == "died":
            said = worker.last_words().splitlines()[-1:]
            why += f": {ending}" + "".join(f"; it said: {printable(line)}" for line in said)
        if not self._stopping:
            _log.warning(
                "sandbox worker %d (process %d) %s: %s, and is replaced; it said on its standard error:%s",
                number, worker.process_id, how, ending, last_words,
            )  # fmt: skip
        if worker.status == UNSOUND:
            raise SandboxBrokenError(
                f"the sandbox back end {self._hello.backend!r} found that a program may have reached another; what the"
                f" pool answered since the last check cannot be trusted. Its worker said:{last_words}"
            )
        self._settle(self._schedule.worker_died(number, why))
        if not worker.ready and worker.generation == self._start_failures:
            self._start_failures += 1
            if self._start_failures >= START_ATTEMPTS:
                raise SandboxBrokenError(_start_complaint(self._hello.backend, why, last_words))
        if not self._stopping:
            self._recorder.replaced()
            self._start_worker()

    def _finish(self, failure: SandboxError) -> None:
        """End every worker and answer every caller, whatever happened before."""
        with self._commands_lock:
            self._failure = failure
            commands, self._commands = self._commands, []
        for worker in self._workers.values():
            worker.hang_up()
        idle = [worker for worker in self._workers.values() if not self._schedule.holds(worker.number) and worker.ready]
        deadline = time.monotonic() + LEAVE_SECONDS
        for worker in idle:
            worker.ended(max(0.0, deadline - time.monotonic()))
        for worker in self._workers.values():
            worker.end()
        self._workers.clear()
        self._places.close(failure)
        for ticket in self._open.union(command.ticket for command in commands if isinstance(command, Piece)):
            ticket.fail(failure)
            ticket.tell()
        self._open.clear()
        self._first_ready.set()
        self._selector.close()
        os.close(self._bell)


def _told(last_words: str) -> str:
    """The end of what a worker said, as a block of lines."""
    return "".join(f"\n    {printable(line)}" for line in last_words.splitlines()[-12:]) or " nothing"


def _start_complaint(backend: str, why: str, last_words: str) -> str:
    return (
        f"no worker of the sandbox back end {backend!r} became ready, {START_ATTEMPTS} times in a row; the last: {why}."
        f" It said on its standard error:{last_words}"
    )


def printable(text: str) -> str:
    """Text of unknown origin as it may be shown: control characters escaped."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
