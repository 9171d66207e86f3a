"""The world as the sandbox sees it: programs with arguments on which they run, and which of them are held out.

Owns the making of `Specimen`s and the split. Called by `azr.tiny.corpus` and by the making of the held-out files.

    grammar ──► programs ──► RunJob + InspectJob ──► runs on all arguments, says more than one thing ──► Specimen
                                                       normal form ──► held out or trained on

A program is held out by its own normal form, so no corpus of whatever seed or size can hold one that evaluation uses.
"""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np

from azr.errors import AzrError
from azr.game.reasons import STUMBLES
from azr.tiny.grammar import COMMON, Difficulty, Program, draw_argument, draw_program
from sandbox_wasm.protocol import InspectJob, InspectResult, Job, JobResult, Limits, RunJob, RunResult, Sandbox

#: Pairs of a specimen, and of an induction task of the tiny game.
PAIRS = 6

#: One program in this many is held out.
HELD_OUT_ONE_IN = 16

#: Longest output, in characters, that a tiny model is asked to write.
LONGEST_OUTPUT = 32

#: Programs that are sent to the sandbox together.
_ROUND = 256

#: Fuel decides. The wall stands as far behind it as in a run, or a busy machine would make another corpus of a seed.
_LIMITS = msgspec.structs.replace(Limits.of_seconds(0.2), wall_seconds=Limits().wall_seconds)

#: How often the sandbox is asked the same where the machine stumbles.
_TRIES = 3


@dataclass(frozen=True)
class Specimen:
    """A program with arguments on which it runs, and what it returns."""

    program: Program
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    workings: tuple[tuple[tuple[str, str], ...], ...]
    """How each output comes about: of each step an expression and its value."""
    normal_form: str


def is_held_out(normal_form: str) -> bool:
    """Whether a program of this normal form belongs to evaluation."""
    return int(normal_form[:8], 16) % HELD_OUT_ONE_IN == 0


def specimens(
    sandbox: Sandbox, generator: np.random.Generator, *, held_out: bool, difficulty: Difficulty = COMMON
) -> Iterator[Specimen]:
    """An endless stream of specimens of one side of the split."""
    while True:
        drawn = [draw_program(generator, difficulty) for _ in range(_ROUND)]
        inputs = [_distinct_arguments(generator, program, difficulty) for program in drawn]
        jobs: list[Job] = []
        for program, arguments in zip(drawn, inputs, strict=True):
            jobs.append(RunJob(program=program.text, inputs=arguments, limits=_LIMITS))
            jobs.append(RunJob(program=program.working, inputs=arguments, limits=_LIMITS))
            jobs.append(InspectJob(program=program.text))
        results = (_decided(sandbox, job, result) for job, result in zip(jobs, sandbox.run_many(jobs), strict=True))
        for program, arguments in zip(drawn, inputs, strict=True):
            run, worked, inspected = next(results), next(results), next(results)
            assert isinstance(run, RunResult)
            assert isinstance(worked, RunResult)
            assert isinstance(inspected, InspectResult)
            found = _specimen(program, arguments, run, worked, inspected)
            if found is not None and is_held_out(found.normal_form) == held_out:
                yield found


def _decided(sandbox: Sandbox, job: Job, result: JobResult) -> JobResult:
    """The result, asked for again where it says nothing: to pass the program over would be another corpus."""
    for _ in range(_TRIES - 1):
        if not _stumble(result):
            return result
        (result,) = sandbox.run_many([job])
    if stumble := _stumble(result):
        raise AzrError(
            f"a program of the tiny world could not be run in {_TRIES} tries: {stumble}",
            "the machine is short of processor time or memory: do it again when it has less to do",
        )
    return result


def _stumble(result: JobResult) -> str:
    """What the machine stumbled over, in words; empty where it did not."""
    if isinstance(result, InspectResult):
        return f"{result.reason} {result.detail}".rstrip() if result.reason in STUMBLES else ""
    stumbles = (f"{one.status} {one.error}".rstrip() for one in result.outcomes if one.status in STUMBLES)
    return next(stumbles, "")


def _specimen(
    program: Program, arguments: tuple[str, ...], run: RunResult, worked: RunResult, inspected: InspectResult
) -> Specimen | None:
    """The specimen, unless the program fails somewhere, always says the same, or says too much."""
    values = [outcome.value for outcome in run.outcomes if outcome.value is not None]
    if len(values) < len(arguments) or inspected.facts is None:
        return None
    outputs = tuple(value.literal for value in values)
    if len(set(outputs)) < 2 or max(map(len, outputs)) > LONGEST_OUTPUT:
        return None
    workings = tuple(tuple(literal_eval(one.value.literal)) for one in worked.outcomes if one.value is not None)
    if len(workings) < len(arguments):
        return None
    return Specimen(program, arguments, outputs, workings, inspected.facts.normal_form)


def _distinct_arguments(generator: np.random.Generator, program: Program, difficulty: Difficulty) -> tuple[str, ...]:
    found: dict[str, None] = {}
    while len(found) < PAIRS:
        found[draw_argument(generator, program.takes, difficulty)] = None
    return tuple(found)
