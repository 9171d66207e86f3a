"""The contract between azr and whatever runs untrusted Python.

Owns the jobs that may be asked of a sandbox, the answers it gives, and the `Sandbox` and `Backend`
protocols. Everything that wants model-written text parsed, checked or run speaks these types; no
other module of azr looks into such text as Python.

      caller                     Sandbox (a pool)                 Backend (one per worker process)
    ──────────  run_many(jobs) ──────────────────  run(job)  ──────────────────────────────────────
    azr.game ──────────────────► queue, limits, ─────────────► wasm: a pristine interpreter a program
    azr.cli   ◄────────────────  retries, order  ◄──────────── process: a forked child a program
                  JobResult

Three kinds of job, in order of trust needed:

* `InspectJob` parses a program and reports facts of its syntax; nothing is run.
* `LiteralJob` reads texts as plain data (one literal, or a list of call arguments); nothing is run.
* `RunJob` runs a program's entry on inputs, each in a fresh interpreter state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, Protocol, runtime_checkable

import msgspec

#: How a run can end. `ok` alone carries a value.
#: `timeout` is decided by fuel and is reproducible; `retry` is the wall clock's word and decides nothing: a pool asks
#: such an input once more, and what then still says `retry` is for the caller to ask again or to leave undecided.
Status = Literal["ok", "error", "timeout", "memory", "refused", "crashed", "opaque", "retry"]

#: Stands where an exception's class would, in the `error` of a program that left its interpreter (`os._exit`), stopped
#: it without a word (`os.abort`, a lock taken twice) or had it answer nonsense. What a program can bring about is never
#: called `crashed`, by whatever back end: that decides nothing, and a bad answer would go unpunished.
PROCESS_EXIT = "ProcessExit"

#: Fuel that stands for one second. A 2020s server core was measured to burn two to four times as much (1e10 to 2e10):
#: taken below that, so that fuel, which is reproducible, runs out before the wall clock on slower and shared cores too.
FUEL_PER_SECOND = 5_000_000_000

#: The moment every program believes it runs at unless told otherwise (a fixed instant: clocks are inputs of a run).
DEFAULT_CLOCK = 1_700_000_000.0


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one run of one input may use. Exceeding any of them ends that run and no other."""

    fuel: int = 2 * FUEL_PER_SECOND
    """Instructions, in wasmtime's fuel; the verdict `timeout` comes from here."""
    wall_seconds: float = 6.0
    """Backstop for a machine so loaded that fuel does not run out in time; answered `retry`."""
    memory_bytes: int = 256 << 20
    """Linear memory of the guest, its interpreter included."""
    output_bytes: int = 64 << 10
    """Length of the value's literal; a longer one is `opaque`, never cut. Each other text may be four times as long."""
    recursion: int = 400
    """Python frames; deeper is a RecursionError inside the program."""

    @classmethod
    def of_seconds(cls, seconds: float) -> Limits:
        """Limits for a time-out given in seconds: fuel decides, the wall clock stands behind it at the same time."""
        return cls(fuel=max(1, int(seconds * FUEL_PER_SECOND)), wall_seconds=seconds)


class RunJob(msgspec.Struct, frozen=True, tag="run", kw_only=True):
    """Run `entry(*inputs[k])` of one program for each k, each in a state no other input has touched."""

    program: str
    inputs: tuple[str, ...]
    """Texts of the call's arguments, e.g. `"'ab', 3"`. Data to the guest; anything but literals is `refused`."""
    entry: str = "f"
    limits: Limits = Limits()
    snapshot: int = 0
    """Which pristine interpreter: snapshots differ in hash seed, so that dependence on hash order shows."""
    random_seed: int = 0
    """Seeds `random` and what else draws."""
    clock: float = DEFAULT_CLOCK
    """What `time.time()` and `datetime.now()` say."""


class InspectJob(msgspec.Struct, frozen=True, tag="inspect", kw_only=True):
    """Parse a program and report its syntax; run nothing."""

    program: str
    entry: str = "f"


class LiteralJob(msgspec.Struct, frozen=True, tag="literal", kw_only=True):
    """Read each text as plain data: one literal expression, or the arguments of a call. Runs nothing."""

    texts: tuple[str, ...]
    form: Literal["value", "arguments"] = "value"
    output_bytes: int = 64 << 10
    signature: str = ""
    """For arguments: what they are bound to, as `Facts.signature` has it, so that each call has one spelling."""


Job = RunJob | InspectJob | LiteralJob


class Value(msgspec.Struct, frozen=True):
    """A Python value as text, in three forms made by the guest and compared, never evaluated, by the host."""

    literal: str
    """Its repr with the order inside sets made canonical; reading it back gives the same value."""
    exact: str
    """Equal texts mean equal values type by type: 1, 1.0 and True differ, and so do 0.0 and -0.0."""
    key: str
    """Equal texts mean values equal as Python says (1 == 1.0 == True, -0.0 == 0.0), except that nan equals nan."""
    type_name: str = ""
    """Name of the outermost type, for statistics of diversity."""


class Outcome(msgspec.Struct, frozen=True):
    """How one input's run, or one text's reading, ended."""

    status: Status
    value: Value | None = None
    error: str = ""
    """What went wrong, e.g. `ValueError: bad` or `fuel exhausted`; hostile text, to be escaped where shown."""
    fuel: int = 0


class RunResult(msgspec.Struct, frozen=True, tag="run"):
    """One outcome per input of a `RunJob`, in order."""

    outcomes: tuple[Outcome, ...]


class LiteralResult(msgspec.Struct, frozen=True, tag="literal"):
    """One outcome per text of a `LiteralJob`, in order: `ok`, `refused` (not a literal) or `opaque` (too large);
    `crashed` and `retry` say nothing of the text."""

    outcomes: tuple[Outcome, ...]


class Facts(msgspec.Struct, frozen=True):
    """What the syntax of a program says."""

    parameters: int
    """Number of parameters the entry takes (0 when there are none; a star counts one)."""
    modules: tuple[str, ...]
    """Dotted names of all modules imported anywhere, sorted; `__import__('x')` with a constant counts."""
    names: tuple[str, ...]
    """Dotted names and attributes used anywhere (`os.path`, `open`, `eval`), sorted, for the banned list."""
    functions: tuple[str, ...]
    """Names of functions defined at module level, in order."""
    classes: tuple[str, ...]
    """Names of classes defined at module level, in order."""
    calls: tuple[str, ...]
    """Names called inside the entry with something of its scope among the arguments (for composite functions)."""
    normal_form: str
    """Digest of the syntax tree with local names, docstrings, comments and layout normalised: equal for duplicates."""
    tokens: tuple[str, ...]
    """Node kinds of the normalised tree in order, for edit distance."""
    lines: int
    cyclomatic: int
    cognitive: int
    halstead_effort: float
    halstead_volume: float
    signature: str = ""
    """The entry's parameters as source text, for `LiteralJob.signature`: `a, b=2, *rest`. A default that is no
    immutable constant is `...`. Empty without parameters, and where the name may stand for something else."""


class InspectResult(msgspec.Struct, frozen=True, tag="inspect"):
    """Facts of a program that parses, or why it does not."""

    facts: Facts | None
    reason: str = ""
    """Machine-readable: `syntax`, `no_entry`, `too_deep`, `too_large`, `null_byte`, `surrogate`, `crashed`,
    `retry`."""
    detail: str = ""


JobResult = RunResult | LiteralResult | InspectResult


class Statistics(msgspec.Struct, frozen=True):
    """What a pool has done since it opened."""

    jobs: int
    executions: int
    executions_per_second: float
    p50_seconds: float
    p99_seconds: float
    by_status: dict[str, int]
    workers_replaced: int


class IsolationError(RuntimeError):
    """Raised by a back end that finds that one program may have reached another: a pool that hears it gives no further
    answer, for it cannot tell which of those since the last check can be trusted."""


class Backend(Protocol):
    """Runs jobs one at a time inside a worker process. What a plug-in implements (see `docs/extending-sandbox.md`).

    A back end may also have a method `prepare()`, called once before the worker locks itself in: whatever needs a file,
    a library or a compiler is to be loaded there, for afterwards nothing can be opened. And it may say by an attribute
    `hardening` how far it can be locked in: `sealed` (the default), `forking` or `none`, see `sandbox_wasm.hardening`;
    and by an attribute `measures`, a dict of texts, which walls of its own hold, for `SandboxPool.hardening()` to tell.
    """

    name: str

    def run(self, job: Job) -> JobResult:
        """Answer the job. Whatever the program does, this returns within the job's limits or the process may die."""
        ...

    def close(self) -> None:
        """Free what the back end holds."""
        ...


@runtime_checkable
class Sandbox(Protocol):
    """A pool of back ends on worker processes; what the rest of azr holds."""

    def run_many(self, jobs: Iterable[Job]) -> Iterator[JobResult]:
        """Answer jobs in order, reading ahead no further than the pool's bounded queue."""
        ...

    async def run_async(self, jobs: Sequence[Job]) -> list[JobResult]:
        """Answer jobs in order without blocking the event loop; waits while the pool's queue is full."""
        ...

    def statistics(self) -> Statistics:
        """What the pool has done since it opened."""
        ...

    def close(self) -> None:
        """Stop all workers; leaves no process behind."""
        ...
