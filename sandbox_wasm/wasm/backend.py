"""The WebAssembly back end: every program in a pristine interpreter that can reach nothing.

Owns the path of a job through guests: which instance answers it, and what a trap means. The pool holds one `WasmBackend`
in each worker process, found by name (`wasm`) through the entry points `azr.sandboxes`.

    RunJob ──► each input ─┐
    InspectJob ────────────┼─► pristine instance ─► request, fuel, wall clock ─► answer ─► outcomes
    LiteralJob ────────────┘        │                                             │
                                    ▼                                             ▼ trap
                        fresh, or restored bit by bit               timeout │ retry │ memory │ crashed

Whatever the guest says after a program ran is hostile: its answer is decoded strictly, and a malformed one is `crashed`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
from wasmtime import TrapCode

from sandbox_wasm import envelope
from sandbox_wasm.protocol import (
    DEFAULT_CLOCK,
    InspectJob,
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
from sandbox_wasm.wasm import guest
from sandbox_wasm.wasm.engine import Engine
from sandbox_wasm.wasm.instance import Instance, Stopped

#: Limits of jobs that run no program of their own: generous, for reading and parsing are linear in text that is bounded.
READING = Limits()

_encode = msgspec.json.Encoder().encode
_literal_result = msgspec.json.Decoder(LiteralResult)
_inspect_result = msgspec.json.Decoder(InspectResult)


class WasmBackend:
    """Runs jobs in WebAssembly guests. Cheap to make: the guest is loaded by the first job."""

    name = "wasm"

    def __init__(
        self,
        *,
        instances: Literal["fresh", "restored"] = "fresh",
        canary_every: int = 1000,
        cache: Path | None = None,
    ) -> None:
        if instances not in ("fresh", "restored"):
            raise ValueError(f"instances must be 'fresh' or 'restored', not {instances!r}")
        self._instances = instances
        self._canary_every = canary_every
        self._cache = cache
        self._engine: Engine | None = None

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
            return RunResult(tuple(self._run_input(job, text) for text in job.inputs))
        if isinstance(job, LiteralJob):
            return self._read(job)
        return self._inspect(job)

    def close(self) -> None:
        """Free the guest."""
        self._engine = None

    def _run_input(self, job: RunJob, text: str) -> Outcome:
        request = _encode(msgspec.structs.replace(job, inputs=(text,)))
        try:
            answer, fuel = self._ask(request, job.limits, job.snapshot, job.clock, job.random_seed)
            result = envelope.decode(answer)
        except Stopped as stop:
            return outcome_of(stop, job.limits)
        except msgspec.MsgspecError as problem:
            return Outcome("crashed", error=f"the guest's answer is malformed: {problem}")
        if not isinstance(result, RunResult) or len(result.outcomes) != 1:
            return Outcome("crashed", error="the guest answered another question")
        (outcome,) = result.outcomes
        return msgspec.structs.replace(outcome, fuel=fuel)

    def _read(self, job: LiteralJob) -> LiteralResult:
        try:
            answer, _ = self._ask(_encode(job), READING)
            result = _literal_result.decode(answer)
            if len(result.outcomes) == len(job.texts):
                return result
            stopped = Outcome("crashed", error="the guest answered another number of texts")
        except Stopped as stop:
            stopped = outcome_of(stop, READING)
        except msgspec.DecodeError as problem:
            stopped = Outcome("crashed", error=f"the guest's answer is malformed: {problem}")
        if len(job.texts) == 1:
            return LiteralResult((stopped,))
        alone = (self._read(msgspec.structs.replace(job, texts=(text,))) for text in job.texts)
        return LiteralResult(tuple(result.outcomes[0] for result in alone))

    def _inspect(self, job: InspectJob) -> InspectResult:
        try:
            answer, _ = self._ask(_encode(job), READING)
            return _inspect_result.decode(answer)
        except Stopped as stop:
            reason = "too_deep" if stop.code is TrapCode.STACK_OVERFLOW else "crashed"
            return InspectResult(None, reason, outcome_of(stop, READING).error)
        except msgspec.DecodeError as problem:
            return InspectResult(None, "crashed", f"the guest's answer is malformed: {problem}")

    def _ask(
        self, request: bytes, limits: Limits, snapshot: int = 0, clock: float = DEFAULT_CLOCK, seed: int = 0
    ) -> tuple[bytes, int]:
        engine = self.engine
        ready = engine.snapshot(snapshot)
        engine.watchdog.arm(limits.wall_seconds)
        instance = Instance(engine.native, ready, limits.memory_bytes)
        try:
            return instance.ask(request, limits.fuel, int(clock * 1e9), seed)
        finally:
            engine.watchdog.disarm()
            instance.close()


def outcome_of(stop: Stopped, limits: Limits) -> Outcome:
    """What a trap means for the input whose run it ended."""
    if stop.code is TrapCode.OUT_OF_FUEL:
        return Outcome("timeout", error="fuel exhausted", fuel=limits.fuel)
    if stop.code is TrapCode.INTERRUPT:
        return Outcome("retry", error="the wall clock ran out before the fuel did")
    if stop.code is TrapCode.STACK_OVERFLOW:
        return Outcome("error", error="RecursionError: the interpreter's own stack is exhausted")
    if stop.code is TrapCode.UNREACHABLE and stop.cause == 1:
        return Outcome("crashed", error=f"the program left the interpreter: exit code {stop.exit_code}")
    if stop.memory > limits.memory_bytes - MEMORY_MARGIN:
        return Outcome("memory", error="memory exhausted while the interpreter needed some")
    return Outcome("crashed", error=f"the interpreter stopped: {stop.message}")


#: A guest that trapped this near to its memory limit is taken to have failed for want of memory.
MEMORY_MARGIN = 16 << 20
