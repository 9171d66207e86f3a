"""Which worker is given which piece of work, and when a worker is given up: a pure state machine.

Owns the queue of pieces and what each worker holds. The pool's thread tells it events with the time they happened at
and carries out what it asks for; it starts nothing, reads no clock, and so is tested without a process.

      pending ──hand_out──► worker's queue: [head, next, next]      the head is being run, in that order
         ▲                         │ answered        │ died: the head is asked once more, the rest go back
         └──── revoke ─────────────┘◄────────────────┘

* A worker holds enough to stay busy for `PIPELINE_SECONDS` while the pool's thread does other things, measured by how
  long pieces took of late, and never less than two pieces.
* What waits behind a head that takes longer than `STALL_SECONDS` is revoked and goes to whoever is free: one endless
  loop costs its neighbours 50 ms, not its limit. A revoked piece that was run all the same is taken from whoever
  answers first and only once.
* A head is overdue when its limits and a grace have passed; its worker is to be killed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from sandbox_wasm.channel import Answer, ChannelError
from sandbox_wasm.ticket import Piece, Ticket

#: Work a worker holds ahead: far above the milliseconds for which the pool's thread may rest or be busy elsewhere. What
#: waits behind something slow is taken back, so more would do no harm, but it would do no good either.
PIPELINE_SECONDS = 0.030

#: Bounds of the number of pieces a worker holds. Two, so that it need not wait for the pool between pieces.
FEWEST_AHEAD = 2
MOST_AHEAD = 64

#: A head that takes this long has what waits behind it revoked: a hundred ordinary programs' worth.
STALL_SECONDS = 0.050

#: Bytes of jobs sent to a worker at once, so that large programs do not pile up in one worker's socket.
BYTES_AHEAD = 1 << 20

#: Weight of the newest piece in the running mean of how long pieces take.
SMOOTHING = 0.05


class _Entry:
    __slots__ = ("began", "number", "piece", "revoked")

    def __init__(self, number: int, piece: Piece) -> None:
        self.number = number
        self.piece = piece
        self.began = 0.0
        self.revoked = False


class WorkerQueue:
    """What one living worker holds, in the order it will answer."""

    def __init__(self) -> None:
        self.entries: deque[_Entry] = deque()

    def stalled(self, now: float) -> bool:
        """Whether the piece being run takes unusually long."""
        return bool(self.entries) and now - self.entries[0].began >= STALL_SECONDS


class Schedule:
    """The pieces of all open tickets, and who runs them."""

    def __init__(self, grace_seconds: float) -> None:
        self._grace = grace_seconds
        self._pending: deque[Piece] = deque()
        self._workers: dict[int, WorkerQueue] = {}
        self._mean_seconds = PIPELINE_SECONDS / FEWEST_AHEAD
        self._next_number = 0

    # ── events ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def submit(self, pieces: Iterable[Piece]) -> None:
        """New work, to be run after what waits already."""
        self._pending.extend(pieces)

    def worker_ready(self, worker: int) -> None:
        """A worker can be given work."""
        self._workers[worker] = WorkerQueue()

    def answered(self, worker: int, answer: Answer, now: float) -> Ticket | None:
        """A worker answered what it was given first; returns the ticket if that settled it."""
        entries = self._workers[worker].entries
        if not entries or entries[0].number != answer.number:
            raise ChannelError(f"an answer to job {answer.number}, which is not the one being run")
        entry = entries.popleft()
        if entries:
            entries[0].began = now
        piece, ticket = entry.piece, entry.piece.ticket
        if answer.result is None:
            if not entry.revoked:
                raise ChannelError(f"job {answer.number} was skipped without having been revoked")
            return None
        if not ticket.fits(answer.result, piece):
            raise ChannelError(f"the answer to job {answer.number} does not fit its question")
        self._mean_seconds += SMOOTHING * (max(0.0, answer.seconds) - self._mean_seconds)
        if piece.done:
            return None  # Somebody else was first, or nobody waits for it.
        return self._settle(ticket, ticket.answered(piece, answer.result))

    def worker_died(self, worker: int, why: str) -> list[Ticket]:
        """A worker is gone: its head is asked once more or given up, the rest go back; returns the tickets settled."""
        queue = self._workers.pop(worker, None)
        if queue is None or not queue.entries:
            return []
        head, *rest = queue.entries
        self._pending.extendleft(entry.piece for entry in reversed(rest) if not (entry.revoked or entry.piece.done))
        if head.revoked or head.piece.done:
            return []  # It waits, runs or was answered elsewhere.
        ticket = self._settle(head.piece.ticket, head.piece.ticket.crashed(head.piece, why))
        return [ticket] if ticket is not None else []

    def cancel(self, tickets: Iterable[Ticket]) -> None:
        """Nobody waits for these any more; what is being run is let run, and its answer dropped."""
        gone = {id(ticket) for ticket in tickets}
        self._pending = deque(piece for piece in self._pending if id(piece.ticket) not in gone)
        for queue in self._workers.values():
            for entry in queue.entries:
                if id(entry.piece.ticket) in gone:
                    entry.piece.done = True

    # ── what is to be done ──────────────────────────────────────────────────────────────────────────────────────────

    def hand_out(self, now: float) -> dict[int, list[tuple[int, Piece]]]:
        """Pieces to send to each worker, under the number its answer is to carry."""
        if not self._pending:
            return {}
        ahead = self._ahead()
        alone = len(self._workers) == 1
        free = [
            (len(queue.entries), worker) for worker, queue in self._workers.items() if alone or not queue.stalled(now)
        ]
        given: dict[int, list[tuple[int, Piece]]] = {}
        # The emptiest first; each takes no more than its share, so that few pieces spread over all workers.
        for position, (holds, worker) in enumerate(sorted(free)):
            if not self._pending:
                break
            if holds > ahead // 2:
                continue
            share = -(-len(self._pending) // (len(free) - position))
            entries = self._workers[worker].entries
            sent = 0
            while self._pending and len(entries) < min(ahead, holds + share) and sent < BYTES_AHEAD:
                piece = self._pending.popleft()
                if piece.done:
                    continue
                self._next_number += 1
                entry = _Entry(self._next_number, piece)
                if not entries:
                    entry.began = now
                entries.append(entry)
                given.setdefault(worker, []).append((entry.number, piece))
                sent += len(piece.body)
        return given

    def revoke(self, now: float) -> dict[int, list[int]]:
        """Numbers of jobs to take back from each worker whose head takes long; they are pending again."""
        if len(self._workers) < 2:
            return {}
        revoked: dict[int, list[int]] = {}
        for worker, queue in self._workers.items():
            if not queue.stalled(now):
                continue
            waiting = [entry for entry in list(queue.entries)[1:] if not entry.revoked]
            for entry in reversed(waiting):
                entry.revoked = True
                if not entry.piece.done:
                    self._pending.appendleft(entry.piece)
            if waiting:
                revoked[worker] = [entry.number for entry in waiting]
        return revoked

    def overdue(self, now: float) -> list[tuple[int, float]]:
        """Workers whose head should long have been answered, with the seconds it was given."""
        return [
            (worker, allowed)
            for worker, queue in self._workers.items()
            if queue.entries and now - queue.entries[0].began >= (allowed := self._allowed(queue.entries[0]))
        ]

    def next_moment(self) -> float | None:
        """When `revoke` or `overdue` may next have something to say; None while nothing runs."""
        moments = []
        for queue in self._workers.values():
            if queue.entries:
                head = queue.entries[0]
                moments.append(head.began + self._allowed(head))
                if len(self._workers) > 1 and any(not entry.revoked for entry in list(queue.entries)[1:]):
                    moments.append(head.began + STALL_SECONDS)
        return min(moments, default=None)

    def covered_seconds(self) -> float:
        """For how long every worker has work beyond the piece it runs, as far as can be told."""
        least = min((len(queue.entries) for queue in self._workers.values()), default=0)
        return max(0, least - 1) * self._mean_seconds

    def hungry(self) -> bool:
        """Whether some worker would take more than is pending."""
        if self._pending:
            return False
        enough = self._ahead() // 2
        return any(len(queue.entries) <= enough for queue in self._workers.values())

    def holds(self, worker: int) -> int:
        """How many pieces a worker holds."""
        return len(self._workers[worker].entries) if worker in self._workers else 0

    @property
    def pending(self) -> int:
        """Pieces no worker holds."""
        return len(self._pending)

    def _ahead(self) -> int:
        return min(max(round(PIPELINE_SECONDS / max(self._mean_seconds, 1e-9)), FEWEST_AHEAD), MOST_AHEAD)

    def _allowed(self, entry: _Entry) -> float:
        return entry.piece.wall_seconds + self._grace

    def _settle(self, ticket: Ticket, again: list[Piece]) -> Ticket | None:
        self._pending.extendleft(reversed(again))
        return ticket if ticket.settled else None
