"""One job's way to its answer: what is asked of workers, what is asked again, and when it is settled.

A `Ticket` stands for a job that a caller handed in. What workers are given are its pieces: first the whole job (one of
very many inputs in portions, so that each result fits a frame), later, where something went wrong, only what has to be
asked again. Pure: no clock, no process.

      job with inputs 0 1 2 ──► piece [0 1 2]
                                   │ outcome of 1 is `retry`         │ the worker died
                                   ▼                                 ▼
                                piece [1], second attempt         pieces [0] [1] [2], second attempts
                                   │ again `retry`: that is the      │ dies again ⇒ `crashed`, that input alone
                                   ▼ answer, nothing was decided     ▼

Whatever happens a ticket is settled after at most two attempts an input, by a result or, when the whole pool failed, by
an exception.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from sandbox_wasm.channel import MAX_FRAME_BYTES, encode_job
from sandbox_wasm.protocol import (
    InspectJob,
    InspectResult,
    Job,
    JobResult,
    LiteralJob,
    LiteralResult,
    Outcome,
    RunJob,
    RunResult,
)

#: A job is tried twice in all: a machine may have killed the first worker for reasons that were not the job's.
ATTEMPTS = 2

#: Bytes of a frame that one input's outcome may take for each byte of its output, and besides: as much as
#: `envelope.longest_answer` lets its guest write, hostile ones included.
_FRAME_BYTES_FOR_EACH = 48
_FRAME_BYTES_BESIDES = 64 << 10

#: Wall clock for jobs that run nothing. Parsing even the largest text takes milliseconds; this only frees a worker.
READING_SECONDS = 10.0


#: Largest job that is sent to a worker: a program is some hundred bytes, a long one some thousand.
LARGEST_JOB_BYTES = 16 << 20


class Piece:
    """Part of a ticket as one worker is asked for it: the whole job, or some of its inputs."""

    __slots__ = ("attempt", "body", "done", "indexes", "ticket", "wall_seconds")

    def __init__(self, ticket: Ticket, indexes: tuple[int, ...], attempt: int) -> None:
        self.ticket = ticket
        self.indexes = indexes
        """Which inputs (or texts) of the job; empty for a job that has none."""
        self.attempt = attempt
        job = _narrowed(ticket.job, indexes)
        self.body = encode_job(job)
        self.wall_seconds = wall_seconds(job)
        self.done = False


class Ticket:
    """A job on its way. `result` is set once, when all of it is known; `failure` instead when the pool broke down."""

    __slots__ = ("_found", "_on_settled", "_open", "failure", "job", "result")

    def __init__(self, job: Job, on_settled: Callable[[Ticket], None]) -> None:
        self.job = job
        self._on_settled = on_settled
        self.result: JobResult | None = None
        self.failure: BaseException | None = None
        self._found: dict[int, Outcome] = {}
        self._open = 0

    @property
    def settled(self) -> bool:
        """Whether the caller can be answered."""
        return self.result is not None or self.failure is not None

    def fail(self, why: BaseException) -> None:
        """No answer will come, for a reason that is not the job's."""
        self.failure = why

    def tell(self) -> None:
        """Tell the caller that the ticket is settled."""
        self._on_settled(self)

    def first_pieces(self) -> list[Piece]:
        """The whole job, as it is first asked; nothing, and the ticket settled, when it cannot travel."""
        pieces, size = [], 0
        for portion in _portions(self.job):
            try:
                pieces.append(Piece(self, portion, 1))
            except UnicodeEncodeError:
                self.result = _refusal(self.job, "surrogate", "text with lone surrogates, which is no Unicode text")
                return []
            size += len(pieces[-1].body)
            if size > LARGEST_JOB_BYTES:
                self.result = _refusal(
                    self.job,
                    "too_large",
                    f"longer than {LARGEST_JOB_BYTES} bytes, its program counted with every portion of its inputs",
                )
                return []
        self._open = len(pieces)
        return pieces

    def answered(self, piece: Piece, result: JobResult) -> list[Piece]:
        """Take a worker's result for a piece; returns what has to be asked again. A second answer changes nothing."""
        if piece.done:
            return []
        self._close(piece)
        if isinstance(result, InspectResult):
            if result.facts is None and result.reason == "retry" and piece.attempt < ATTEMPTS:
                return self._continue_with([Piece(self, (), piece.attempt + 1)])
            self.result = result
            return []
        whole = piece.attempt == 1 and len(piece.indexes) == _parts(self.job)
        if whole and all(outcome.status != "retry" for outcome in result.outcomes):
            self.result = result  # The whole job, answered at once: what nearly always happens.
            return []
        again: list[int] = []
        for index, outcome in zip(piece.indexes, result.outcomes, strict=True):
            if outcome.status == "retry" and piece.attempt < ATTEMPTS:
                again.append(index)
            else:
                self._found[index] = outcome
        # Each by itself, as after a crash: this attempt is the last, and one that ends its worker ends itself alone.
        return self._continue_with([Piece(self, (index,), piece.attempt + 1) for index in again])

    def crashed(self, piece: Piece, why: str) -> list[Piece]:
        """The worker that ran a piece died; returns what has to be asked again, each input by itself."""
        if piece.done:
            return []
        self._close(piece)
        if piece.attempt < ATTEMPTS:
            parts: list[tuple[int, ...]] = [(index,) for index in piece.indexes] or [()]
            return self._continue_with([Piece(self, part, piece.attempt + 1) for part in parts])
        if isinstance(self.job, InspectJob):
            self.result = InspectResult(facts=None, reason="crashed", detail=why)
        for index in piece.indexes:
            self._found[index] = Outcome("crashed", error=why)
        return self._continue_with([])

    def fits(self, result: JobResult, piece: Piece) -> bool:
        """Whether a result is of the kind and length the piece asked for. A worker is not trusted to know."""
        match self.job:
            case RunJob():
                return isinstance(result, RunResult) and len(result.outcomes) == len(piece.indexes)
            case LiteralJob():
                return isinstance(result, LiteralResult) and len(result.outcomes) == len(piece.indexes)
            case _:
                return isinstance(result, InspectResult)

    def _close(self, piece: Piece) -> None:
        piece.done = True
        self._open -= 1

    def _continue_with(self, pieces: list[Piece]) -> list[Piece]:
        self._open += len(pieces)
        if self._open == 0 and self.result is None:
            outcomes = tuple(self._found[index] for index in range(_parts(self.job)))
            self.result = LiteralResult(outcomes) if isinstance(self.job, LiteralJob) else RunResult(outcomes)
        return pieces


def _refusal(job: Job, reason: str, detail: str) -> JobResult:
    if isinstance(job, InspectJob):
        return InspectResult(facts=None, reason=reason, detail=detail)
    outcomes = tuple(Outcome("refused", error=detail) for _ in range(_parts(job)))
    return LiteralResult(outcomes) if isinstance(job, LiteralJob) else RunResult(outcomes)


def wall_seconds(job: Job) -> float:
    """How long a worker may take over a job by its limits, all its inputs together."""
    return len(job.inputs) * job.limits.wall_seconds if isinstance(job, RunJob) else READING_SECONDS


def _parts(job: Job) -> int:
    match job:
        case RunJob():
            return len(job.inputs)
        case LiteralJob():
            return len(job.texts)
        case _:
            return 0


def _portions(job: Job) -> list[tuple[int, ...]]:
    """The job's inputs or texts, so many together as one frame can tell of, whatever comes of them."""
    if isinstance(job, InspectJob):
        return [()]
    output_bytes = job.limits.output_bytes if isinstance(job, RunJob) else job.output_bytes
    most = max(1, MAX_FRAME_BYTES // (_FRAME_BYTES_FOR_EACH * output_bytes + _FRAME_BYTES_BESIDES))
    parts = _parts(job)
    return [tuple(range(first, min(first + most, parts))) for first in range(0, parts, most)] or [()]


def _narrowed(job: Job, indexes: tuple[int, ...]) -> Job:
    if len(indexes) == _parts(job):
        return job
    if isinstance(job, RunJob):
        return msgspec.structs.replace(job, inputs=tuple(job.inputs[index] for index in indexes))
    assert isinstance(job, LiteralJob), "a job without parts is never narrowed"
    return msgspec.structs.replace(job, texts=tuple(job.texts[index] for index in indexes))
