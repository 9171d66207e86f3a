"""The WebAssembly back end: every program in a pristine interpreter that can reach nothing.

Owns the path of a job through guests: which instance answers it, and what a trap means. The pool holds one
`WasmBackend` in each worker process, found by the name `wasm` (`sandbox_wasm.registry`).

    RunJob ──► each input ─┐
    InspectJob ────────────┼─► pristine instance ─► request, fuel, wall clock ─► answer ─► outcomes
    LiteralJob ────────────┘        │                                             │
                                    ▼                                             ▼ trap
                        fresh, or restored bit by bit       timeout │ retry │ memory │ error │ crashed

Whatever the guest says after a program ran is hostile: its answer is decoded strictly. A malformed one is the program's
doing, an `error`, and so is a trap that a brand-new instance repeats; only what does not repeat is `crashed`. A text
that was only to be read and breaks its reader so, or has it say too much, is unreadable by its own doing.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Literal, get_args

import msgspec
import wasmtime
from wasmtime import TrapCode

from sandbox_wasm import envelope
from sandbox_wasm.protocol import (
    DEFAULT_CLOCK,
    PROCESS_EXIT,
    InspectResult,
    Job,
    JobResult,
    Limits,
    LiteralJob,
    LiteralResult,
    Outcome,
    RunJob,
    RunResult,
)
from sandbox_wasm.wasm import guest, pages
from sandbox_wasm.wasm.engine import Engine
from sandbox_wasm.wasm.instance import GuestStoppedError, Instance, NonsenseError, TooLongError
from sandbox_wasm.wasm.restore import Restored

#: Where a program starts from: a brand-new instance, or one put back bit by bit.
Instances = Literal["fresh", "restored"]
#: Limits of jobs that run no program: generous, for reading and parsing are linear in text that is bounded.
READING = Limits()
#: From so many inputs on, the program is compiled once for all: below, the further guest that takes costs more.
SHARED_FROM = 4
#: Code is at most this many times as long as its program, in the text that carries it, plus what an empty one takes.
_CODE_BYTES_FOR_EACH = 256
#: A guest that trapped this near to its memory limit is taken to have failed for want of memory.
MEMORY_MARGIN = 16 << 20


class _Shared(msgspec.Struct, frozen=True):
    """A program compiled for many inputs: its code as text, and the fuel that it took."""

    code: str
    fuel: int


_NOT_SHARED = _Shared("", 0)


class WasmBackend:
    """Runs jobs in WebAssembly guests. Cheap to make: the guest is loaded by the first job.

    `restored` instances need Linux 6.7; where it is missing, `instances` says that fresh ones are used.
    """

    name = "wasm"

    def __init__(
        self, *, instances: Instances = "fresh", canary_every: int | str = 1000, cache: str | Path | None = None
    ) -> None:
        if instances not in get_args(Instances):
            raise ValueError(f"instances must be one of {', '.join(get_args(Instances))}, not {instances!r}")
        self.instances: Instances = instances if instances == "fresh" or pages.supported() else "fresh"
        self._canary_every = _whole("canary_every", canary_every)
        self._cache = None if cache is None else Path(cache)
        self._engine: Engine | None = None
        self._restored: dict[int, Restored] = {}

    @property
    def engine(self) -> Engine:
        """The process's engine, made when first needed (after any fork)."""
        if self._engine is None:
            self._engine = Engine(self._cache)
        return self._engine

    def prepare(self) -> None:
        """Load every snapshot and all that a run needs, before the worker is locked in and nothing can be opened."""
        for number in range(len(guest.manifest().image_bytes)):
            self.run(RunJob(program="def f(): return 0", inputs=("",), snapshot=number))

    def run(self, job: Job) -> JobResult:
        """Answer one job."""
        if isinstance(job, RunJob):
            shared = self._compile(job) if len(job.inputs) >= SHARED_FROM else _NOT_SHARED
            return RunResult(tuple(self._run_input(job, text, shared) for text in job.inputs))
        result = self._answer(job)
        if isinstance(job, LiteralJob) and not isinstance(result, LiteralResult):
            return self._read_apart(job, result)
        if isinstance(result, Outcome):
            return envelope.failed(job, result)
        return result

    def close(self) -> None:
        """Free the guest."""
        for restored in self._restored.values():
            restored.close()
        self._restored.clear()
        self._engine = None

    def _run_input(self, job: RunJob, text: str, shared: _Shared) -> Outcome:
        """One input's outcome. Compiling is charged to each input, shared or not, so that no verdict hangs on it."""
        if not text.isascii():  # it may hold surrogates, which do not travel beside code
            shared = _NOT_SHARED
        limits = msgspec.structs.replace(job.limits, fuel=job.limits.fuel - shared.fuel)
        program = "" if shared.code else job.program
        result = self._answer(msgspec.structs.replace(job, inputs=(text,), program=program, limits=limits), shared.code)
        outcome = result if isinstance(result, Outcome) else result.outcomes[0]  # type: ignore[union-attr]
        return msgspec.structs.replace(outcome, fuel=outcome.fuel + shared.fuel) if outcome.fuel else outcome

    def _compile(self, job: RunJob) -> _Shared:
        """The program's code and its price, or nothing where running it is what says what is wrong with it."""
        request = envelope.encode_compile(job.program)
        try:
            answer, fuel = self._ask(request, job.limits, _CODE_BYTES_FOR_EACH * len(request), job.snapshot)
            return _Shared(envelope.decode_code(answer), fuel)
        except (GuestStoppedError, msgspec.MsgspecError):
            return _NOT_SHARED

    def _read_apart(self, job: LiteralJob, stopped: JobResult | Outcome) -> LiteralResult:
        """Read each text in a guest of its own, because one of them stopped the guest of all."""
        if len(job.texts) == 1:
            return LiteralResult((stopped,))  # type: ignore[arg-type]
        results = (self.run(msgspec.structs.replace(job, texts=(text,))) for text in job.texts)
        return LiteralResult(tuple(result.outcomes[0] for result in results))  # type: ignore[union-attr]

    def _answer(self, job: Job, code: str = "") -> JobResult | Outcome:
        """The guest's result, or how it failed to give one."""
        limits = job.limits if isinstance(job, RunJob) else READING
        request, longest = envelope.encode(job, code), envelope.longest_answer(job)
        began = time.monotonic()
        try:
            if isinstance(job, RunJob):
                answer, fuel = self._ask(request, limits, longest, job.snapshot, job.clock, job.random_seed)
            else:
                answer, fuel = self._ask(request, limits, longest)
            result = envelope.decode(answer)
        except TooLongError as problem:
            ran = isinstance(job, RunJob)
            return _malformed(job, problem.message) if ran else Outcome("opaque", error=problem.message)
        except NonsenseError as problem:
            return _malformed(job, problem.message)
        except GuestStoppedError as stop:
            outcome = outcome_of(stop, limits)
            read_apart = isinstance(job, LiteralJob) and len(job.texts) > 1
            unknown = outcome.status == "crashed" and stop.code is not None and not read_apart
            return self._asked_again(job, request, limits, stop, began) if unknown else outcome
        except msgspec.MsgspecError as problem:
            return _malformed(job, f"the guest's answer is malformed: {problem}")
        expected = envelope.failed(job, Outcome("crashed"))
        if type(result) is not type(expected):
            return _malformed(job, "the guest answered another question")
        if isinstance(result, InspectResult):
            return result
        if len(result.outcomes) != len(expected.outcomes):  # type: ignore[union-attr]
            return _malformed(job, "the guest answered another number of inputs")
        if isinstance(result, RunResult):
            return RunResult((msgspec.structs.replace(result.outcomes[0], fuel=fuel),))
        return result

    def _asked_again(self, job: Job, request: bytes, limits: Limits, stop: GuestStoppedError, began: float) -> Outcome:
        """What a trap means that has no meaning of its own: a wait for nobody, `abort`, broken bytecode, deep data.

        Tried in a brand-new instance, where fuel makes it repeat if it is the program's doing, or the text's, and not
        ours; within what is left of the wall time, for the pool grants no more.
        """
        outcome, longest = outcome_of(stop, limits), envelope.longest_answer(job)
        left = max(0.001, limits.wall_seconds - (time.monotonic() - began))
        limits = msgspec.structs.replace(limits, wall_seconds=left)
        world = (job.snapshot, job.clock, job.random_seed) if isinstance(job, RunJob) else ()
        try:
            self._ask(request, limits, longest, *world, brand_new=True)
        except GuestStoppedError as again:
            if (again.code, again.cause) == (stop.code, stop.cause):
                return envelope.broken_by(job, outcome.error)
            if again.code is TrapCode.INTERRUPT:
                return outcome_of(again, limits)
        return outcome

    def _ask(
        self,
        request: bytes,
        limits: Limits,
        longest: int,
        snapshot: int = 0,
        clock: float = DEFAULT_CLOCK,
        seed: int = 0,
        *,
        brand_new: bool = False,
    ) -> tuple[bytes, int]:
        """The guest's answer and the fuel it took, from a pristine instance. Raises `GuestStoppedError`."""
        engine = self.engine
        ready = engine.snapshot(snapshot)
        restored = self._restoring(snapshot, ready) if self.instances == "restored" and not brand_new else None
        instance = Instance(engine.native, ready) if restored is None else restored.take()
        stopped = True
        engine.watchdog.arm(limits.wall_seconds)
        try:
            answer = instance.ask(request, limits.fuel, limits.memory_bytes, longest, int(clock * 1e6) * 1000, seed)
            stopped = False
            return answer
        finally:
            engine.watchdog.disarm()
            if restored is None:
                instance.close()
            else:
                restored.give_back(stopped=stopped)

    def _restoring(self, snapshot: int, ready: wasmtime.InstancePre) -> Restored:
        if snapshot not in self._restored:
            native = self.engine.native
            self._restored[snapshot] = Restored(lambda: Instance(native, ready), self._canary_every)
        return self._restored[snapshot]


def _whole(option: str, value: int | str) -> int:
    """An option that is a number of at least 1; it may be given as text."""
    with contextlib.suppress(ValueError):
        if not isinstance(value, bool) and (number := int(str(value))) >= 1:
            return number
    raise ValueError(f"{option} must be a whole number of at least 1, not {value!r}")


def _malformed(job: Job, what: str) -> Outcome:
    """An answer that no honest guest gives. Where a program ran, it is the program that spoke, or broke what speaks."""
    return envelope.broken_by(job, what) if isinstance(job, RunJob) else Outcome("crashed", error=what)


def outcome_of(stop: GuestStoppedError, limits: Limits) -> Outcome:
    """What a trap means for the input whose run it ended."""
    if stop.code is TrapCode.OUT_OF_FUEL:
        return Outcome("timeout", error="fuel exhausted", fuel=limits.fuel)
    if stop.code is TrapCode.INTERRUPT:
        return Outcome("retry", error="the wall clock ran out before the fuel did")
    if stop.code is TrapCode.STACK_OVERFLOW:
        return Outcome("error", error="RecursionError: the interpreter's own stack is exhausted")
    if stop.code is TrapCode.UNREACHABLE and stop.cause == 1:
        return Outcome("error", error=f"{PROCESS_EXIT}: left with {stop.exit_code}")
    if stop.memory > limits.memory_bytes - MEMORY_MARGIN:
        return Outcome("memory", error="MemoryError: none left where the interpreter itself needed some")
    return Outcome("crashed", error=f"the interpreter stopped: {stop.message}")
