"""Contenders that run the same programs, each in a process of its own, and the processor time they and theirs take.

      benchmark ── pass number ──► Contender (spawned) ── run(jobs) ──► whatever it starts
          ◄── Lap(cpu, wall, answers) ──┘  processor time of itself, of children it waited for, and of those alive

A process of its own keeps one contender's threads, caches and memory out of another's figures, and keeps code that runs
without isolation out of ours.
"""

from __future__ import annotations

import importlib
import multiprocessing
import resource
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import msgspec
import psutil

from azr.errors import AzrError
from benchmarks.programs.make import HERE, Program

#: What a contender is given: a program and the inputs to run it on.
Work = list[tuple[str, list[str]]]
#: Runs all the work; answers each input with the value's repr, or with `error: …`.
Runner = Callable[[Work], list[list[str]]]

#: A contender that says nothing for this long hangs; the slowest lap takes some seconds.
LAP_SECONDS = 180.0
#: The first answer may have to wait for the guest to be compiled.
START_SECONDS = 300.0


class Lap(NamedTuple):
    """One lap over the programs."""

    executions: int
    cpu_seconds: float
    wall_seconds: float
    work: Work
    answers: list[list[str]]

    @property
    def microseconds(self) -> float:
        """Processor time an execution, in microseconds."""
        return self.cpu_seconds / self.executions * 1e6

    @property
    def per_second(self) -> float:
        """Executions a second by the clock on the wall, one after the other."""
        return self.executions / self.wall_seconds


def load_programs(name: str) -> list[Program]:
    """A set of programs, `short` or `long`."""
    lines = (HERE / f"{name}.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=Program) for line in lines]


class Contender:
    """A runner in a process of its own. A context manager: the process ends with the block."""

    def __init__(
        self, name: str, factory: str, options: dict[str, str], programs: list[Program], *, passes: int = 1
    ) -> None:
        """`factory` is `module:function`, called in the new process with `options`; it returns a `Runner`.

        A lap goes over the programs `passes` times with another input each time; 0 gives each program all its inputs at
        once.
        """
        self.name = name
        self.passes = passes
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, factory, options), name=f"contender {name}")
        self._programs = programs

    def __enter__(self) -> Contender:
        self._process.start()
        self._answer(START_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.is_alive():
            self._pipe.send(None)
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()

    def lap(self) -> Lap:
        """Run the programs once more."""
        if self.passes == 0:
            work = [(program.program, program.inputs) for program in self._programs]
        else:
            work = [
                (program.program, [program.inputs[number % len(program.inputs)]])
                for number in range(self.passes)
                for program in self._programs
            ]
        self._pipe.send(work)
        cpu_seconds, wall_seconds, answers = self._answer(LAP_SECONDS)
        return Lap(sum(len(inputs) for _, inputs in work), cpu_seconds, wall_seconds, work, answers)

    def _answer(self, seconds: float) -> tuple[float, float, list[list[str]]]:
        mend = "run the benchmark again with the machine less loaded, or leave the contender out"
        if not self._pipe.poll(seconds):
            raise AzrError(f"contender {self.name!r} said nothing for {seconds:.0f} s", mend)
        try:
            answer: tuple[float, float, list[list[str]]] | str = self._pipe.recv()
        except EOFError:
            raise AzrError(f"contender {self.name!r} died", "its error stands above") from None
        if isinstance(answer, str):
            raise AzrError(f"contender {self.name!r} cannot run: {answer}", mend)
        return answer


def _serve(pipe: Connection, factory: str, options: dict[str, str]) -> None:
    """The contender's process: build the runner, then a lap a message until there is none."""
    try:
        module, _, function = factory.partition(":")
        run: Runner = getattr(importlib.import_module(module), function)(**options)
        pipe.send((0.0, 0.0, []))
        while (work := pipe.recv()) is not None:
            cpu, wall = cpu_of_tree(), time.perf_counter()
            answers = run(work)
            pipe.send((cpu_of_tree() - cpu, time.perf_counter() - wall, answers))
    except EOFError:
        return
    except Exception as error:  # told to the benchmark, which ends with it
        pipe.send(f"{type(error).__name__}: {error}")
        raise


def cpu_of_tree() -> float:
    """Processor time of this process, of every descendant that is alive, and of all children they have waited for.

    Living descendants are read from the scheduler's own account, in nanoseconds; only what their own ended children
    took comes in clock ticks of 10 ms, the one form the kernel tells it in.
    """
    waited = resource.getrusage(resource.RUSAGE_CHILDREN)
    alive = sum(_cpu_of(child) for child in psutil.Process().children(recursive=True))
    return time.process_time() + waited.ru_utime + waited.ru_stime + alive


def _cpu_of(process: psutil.Process) -> float:
    nanoseconds = 0
    for task in Path(f"/proc/{process.pid}/task").glob("*"):
        try:
            nanoseconds += int((task / "schedstat").read_text().split()[0])
        except (OSError, IndexError):  # ended meanwhile
            continue
    try:
        ended = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return nanoseconds / 1e9 + float(ended.children_user + ended.children_system)
