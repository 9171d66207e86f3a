"""The back end named `process`: turns jobs into tasks for zygotes and their endings into results.

    RunJob ── one task for each input ──┐
    LiteralJob ── one task, or one for ─┼──► zygote of the job's snapshot ──► Ending ──► Outcome
               each text after a crash  │    (one a hash seed; those of PREPARED before any job)
    InspectJob ── one task ─────────────┘

Waits only for a zygote: to be ready, at most `START_SECONDS`; with a task, at most for its wall time and
`GRACE_SECONDS`. A zygote that takes longer or dies is killed, named in the outcome, and another is started for the next
task. To be used by the thread that made it: the kernel kills a zygote with the thread that started it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from sandbox_wasm import envelope
from sandbox_wasm.process import conversation
from sandbox_wasm.process.conversation import LENGTH, Ending, Task
from sandbox_wasm.protocol import (
    FUEL_PER_SECOND,
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

#: What parsing may use: jobs that run nothing carry no limits of their own.
PARSING = Limits.of_seconds(5.0)

#: How much longer than a task's wall time the zygote may take. Less than the pool grants by default, so that its end is
#: told from here, as an outcome, and does not cost the worker.
GRACE_SECONDS = 1.5

#: How long a zygote may take to be ready: it imports the standard library once, under a second on an idle core.
START_SECONDS = 60.0

#: Snapshots whose zygotes are started before any job's clock runs: those the gate probes with.
PREPARED = (0, 1)

#: How long a killed zygote may take to be gone.
REAP_SECONDS = 10.0

#: Share of its CPU time a program must have used for the wall clock's end to be called its own doing: with both limits
#: alike, which `Limits.of_seconds` gives, a busy loop meets the wall first.
BUSY = 0.8


class ProcessBackend:
    """One forked child for each input; see the package's docstring for what it is worth."""

    name = "process"
    #: To the pool's worker: more processes will be started after it has locked itself in.
    hardening = "forking"

    def __init__(self, *, allow_unconfined: bool | str = False) -> None:
        if str(allow_unconfined).lower() not in ("true", "false"):
            raise ValueError(f"allow_unconfined must be true or false, not {allow_unconfined!r}")
        self._must_filter = str(allow_unconfined).lower() == "false"
        self._zygotes: dict[int, _ZygoteProcess] = {}
        self.measures: dict[str, str] = {}
        """What the newest zygote said of each of its walls: `on` or `refused`, by the kernel."""

    def prepare(self) -> None:
        """Start the zygotes that jobs will ask for, side by side."""
        for snapshot in PREPARED:
            if snapshot not in self._zygotes:
                self._zygotes[snapshot] = _ZygoteProcess(snapshot, self._must_filter)
        for snapshot in PREPARED:
            self._zygote(snapshot)

    def run(self, job: Job) -> JobResult:
        """Answer a job."""
        if isinstance(job, RunJob):
            return RunResult(outcomes=tuple(self._run_input(job, text) for text in job.inputs))
        result = self._ask(job, 0, PARSING)
        if isinstance(result, Outcome):
            if isinstance(job, LiteralJob) and len(job.texts) > 1:
                return self._one_by_one(job)
            return envelope.failed(job, result)
        return result

    def close(self) -> None:
        """End all zygotes."""
        for zygote in self._zygotes.values():
            zygote.end()
        self._zygotes.clear()

    def _run_input(self, job: RunJob, text: str) -> Outcome:
        # The child gets this input alone: what else is asked of the program is none of its business.
        result = self._ask(msgspec.structs.replace(job, inputs=(text,)), job.snapshot, job.limits)
        if isinstance(result, Outcome):
            return result
        if not isinstance(result, RunResult) or len(result.outcomes) != 1:
            return Outcome("error", error=f"{PROCESS_EXIT}: its answer fits another question")
        return result.outcomes[0]

    def _one_by_one(self, job: LiteralJob) -> LiteralResult:
        """A text that broke the reader must not take its neighbours along."""
        outcomes: list[Outcome] = []
        for text in job.texts:
            result = self._ask(msgspec.structs.replace(job, texts=(text,)), 0, PARSING)
            if isinstance(result, LiteralResult) and len(result.outcomes) == 1:
                outcomes.append(result.outcomes[0])
            else:
                outcomes.append(result if isinstance(result, Outcome) else Outcome("crashed", error="no answer"))
        return LiteralResult(outcomes=tuple(outcomes))

    def _ask(self, job: Job, snapshot: int, limits: Limits) -> JobResult | Outcome:
        """What the guest answered, or the outcome of a child that did not."""
        task = Task(
            cpu_seconds=limits.fuel / FUEL_PER_SECOND,
            wall_seconds=limits.wall_seconds,
            memory_bytes=limits.memory_bytes,
            response_bytes=envelope.longest_answer(job),
            request=envelope.encode(job),
        )
        zygote = self._zygote(snapshot)
        try:
            ending = zygote.ask(task)
        except _ZygoteError as error:
            self._zygotes.pop(snapshot).end()
            return Outcome("retry" if isinstance(error, _LateError) else "crashed", error=str(error))
        return _judge(ending, task, job)

    def _zygote(self, snapshot: int) -> _ZygoteProcess:
        """The snapshot's zygote, ready. Raises `RuntimeError` when there can be none: no program's doing."""
        zygote = self._zygotes.get(snapshot)
        if zygote is None:
            zygote = self._zygotes[snapshot] = _ZygoteProcess(snapshot, self._must_filter)
        if zygote.measures is None:
            try:
                measures = zygote.await_ready()
            except _ZygoteError as error:
                last_words = self._zygotes.pop(snapshot).end()
                raise RuntimeError(f"the process back end cannot start: {error}\n{last_words}") from None
            self.measures = {name: "on" if holds else "refused" for name, holds in measures.items()}
            if self._must_filter and not measures[conversation.FILTER]:
                self.close()
                raise RuntimeError(
                    "this kernel takes no seccomp filter, without which the process back end runs nothing: use the back"
                    " end wasm, or, where programs are trusted, the option allow_unconfined=true"
                )
        return zygote


def _judge(ending: Ending, task: Task, job: Job) -> JobResult | Outcome:
    """What an ending means. What broke without us was broken by the program that ran, or by the text that was read."""
    ran = isinstance(job, RunJob)
    fuel = ending.cpu_nanoseconds * FUEL_PER_SECOND // 10**9
    if ending.how == conversation.ANSWERED:
        try:
            result = envelope.decode(ending.payload)
        except msgspec.MsgspecError:
            words = "its answer cannot be read"
            return _broken(job, words, fuel) if ran else Outcome("crashed", error=words, fuel=fuel)
        if isinstance(result, InspectResult):
            return result
        outcomes = tuple(msgspec.structs.replace(outcome, fuel=fuel) for outcome in result.outcomes)
        return msgspec.structs.replace(result, outcomes=outcomes)
    words = ending.payload.decode(errors="replace")
    busy = ending.cpu_nanoseconds >= BUSY * task.cpu_seconds * 1e9
    if ending.how == conversation.CPU_LIMIT or (ending.how == conversation.WALL_LIMIT and busy):
        return Outcome("timeout", error="CPU time used up", fuel=fuel)
    if ending.how == conversation.WALL_LIMIT:
        return Outcome("retry", error=words, fuel=fuel)
    if ending.how == conversation.ASLEEP:
        return Outcome("timeout", error=words, fuel=fuel)
    # A program cannot kill, not even itself: a kernel short of memory does, and the child that could not be locked in.
    if ending.how == conversation.KILLED:
        return Outcome("crashed", error=words, fuel=fuel)
    if ending.how == conversation.TOO_LONG and not ran:
        return Outcome("opaque", error=words, fuel=fuel)
    return _broken(job, words, fuel)


def _broken(job: Job, words: str, fuel: int) -> Outcome:
    """A child without an answer, by its program's doing or its text's."""
    return msgspec.structs.replace(envelope.broken_by(job, words), fuel=fuel)


class _ZygoteError(Exception):
    """The zygote died."""


class _LateError(_ZygoteError):
    """The zygote does not answer in time: the machine's doing, or so it must be taken."""


class _ZygoteProcess:
    """The back end's end of one zygote."""

    def __init__(self, snapshot: int, must_filter: bool) -> None:
        self._snapshot = snapshot
        self._must_be_ready = time.monotonic() + START_SECONDS
        self.measures: dict[str, bool] | None = None
        """Which walls hold; None until it is ready."""
        # A hash seed can only be set through the environment, so not -I, but what it stands for: -s, -P and nothing
        # else of the caller's environment.
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-s",
                "-P",
                "-B",
                "-X",
                "utf8",
                str(Path(__file__).with_name("zygote.py")),
                str(os.getpid()),
                "filter" if must_filter else "any",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(snapshot),
            cwd="/",
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._tasks, self._endings = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._tasks, False)

    def await_ready(self) -> dict[str, bool]:
        """Wait until it has confined itself; which of its measures hold. Raises `_ZygoteError`."""
        self.measures = conversation.unpack_measures(self._receive_frame(self._must_be_ready))
        return self.measures

    def ask(self, task: Task) -> Ending:
        """Have the task done. Raises `_ZygoteError` if the zygote is dead or late."""
        deadline = time.monotonic() + task.wall_seconds + GRACE_SECONDS
        self._send(conversation.pack_task(task), deadline)
        return conversation.unpack_ending(self._receive_frame(deadline))

    def end(self) -> str:
        """Kill it and wait for it; a child of its own dies with it. The end of what it had to say."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        try:
            _, errors = self._process.communicate(timeout=REAP_SECONDS)
        except subprocess.TimeoutExpired:
            return f"process {self._process.pid} could not be killed in {REAP_SECONDS:g} s"
        return errors.decode(errors="replace")[-2000:]

    def _send(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            self._wait(self._tasks, select.POLLOUT, deadline)
            try:
                view = view[os.write(self._tasks, view) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise self._dead() from None

    def _receive_frame(self, deadline: float) -> bytes:
        (length,) = LENGTH.unpack(self._receive(LENGTH.size, deadline))
        return self._receive(length, deadline)

    def _receive(self, size: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < size:
            self._wait(self._endings, select.POLLIN, deadline)
            part = os.read(self._endings, size - len(data))
            if not part:
                raise self._dead()
            data += part
        return bytes(data)

    def _wait(self, descriptor: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        if not poll.poll(max(0.0, 1000 * (deadline - time.monotonic()))):
            raise _LateError(f"zygote of snapshot {self._snapshot} (process {self._process.pid}) does not answer")

    def _dead(self) -> _ZygoteError:
        return _ZygoteError(f"zygote of snapshot {self._snapshot} (process {self._process.pid}) died")


def _environment(snapshot: int) -> dict[str, str]:
    """All a program can learn from its environment: the hash seed of its snapshot, and that computing is serial."""
    return {
        "PYTHONHASHSEED": str(1 + snapshot % 4_294_967_295),
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "PATH": "/nonexistent",
        "HOME": "/nonexistent",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }
