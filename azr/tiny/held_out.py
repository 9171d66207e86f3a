"""The fixed held-out tasks: files that travel with azr, so that every table is about the same questions.

Owns their making, their reading, and the search for training programs among them. Made by `azr tiny held-out`; read by
`azr.tiny.evaluation` and by a run's own evaluation. A line is one task as `azr.game` knows it, without its defaults.

    grammar ──► world, held-out side ──► no task twice, few of one program ──► held_out/{common,harder}.jsonl
    corpus  ──► programs ──► normal forms in the sandbox ──► any that a held-out task has? ──► overlap
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

import msgspec
import numpy as np

from azr.errors import AzrError
from azr.files import replacing
from azr.game.types import Task
from azr.tiny.corpus import task_of
from azr.tiny.grammar import COMMON, HARDER, Difficulty
from azr.tiny.world import PAIRS, specimens
from sandbox_wasm.protocol import InspectJob, InspectResult, Sandbox

#: Seed of the held-out tasks. Changing it changes every published table.
HELD_OUT_SEED = 20_26

KINDS = ("deduction", "abduction", "induction")

DIFFICULTIES: dict[str, Difficulty] = {"common": COMMON, "harder": HARDER}

#: Tasks of each type and difficulty in the files.
TASKS = 200

#: Steps of a held-out task's program, at least. Of one step there are 108 without a branch, too few to tell skill from
#: memory: a base has met the 98 that are not held out a hundred times each and knows the ten others from never having
#: met them (`azr bench memorised`). Self-play is kept from the same ten and cannot mend that.
FEWEST_STEPS = 2

#: Tasks of one type that share a program, at most: some programs are likelier than others.
MOST_OF_ONE_PROGRAM = 10

_FOLDER = Path(__file__).parent / "held_out"

#: A program of the compact format inside a prompt or a response: its definition and the indented lines below it.
_PROGRAM = re.compile(r"^def f\(.*\n(?: .*\n?)+", re.MULTILINE)

#: Programs sent to the sandbox together.
_ROUND = 256


class _Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a file keeps of a task."""

    task_type: str
    program: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    normal_form: str
    message: str = ""
    shown: int = 0


def held_out_tasks(difficulty: str, kind: str, tasks: int | None = None, *, folder: Path = _FOLDER) -> list[Task]:
    """The first so many (all) held-out tasks of a type, the same for everybody; not more than there are, nor none."""
    lines = msgspec.json.Decoder(_Line)
    text = (folder / f"{difficulty}.jsonl").read_bytes()
    found = [line for line in map(lines.decode, text.splitlines()) if line.task_type == kind]
    if tasks is not None and not 1 <= tasks <= len(found):
        raise AzrError(
            f"there are {len(found)} {difficulty} held-out tasks of {kind}, not {tasks}", "ask for some of them"
        )
    return [
        Task(id=f"held-out-{difficulty}-{kind}-{place}", **msgspec.structs.asdict(line))
        for place, line in enumerate(found[:tasks])
    ]


def held_out_normal_forms() -> frozenset[str]:
    """Normal forms of all programs of the files."""
    return frozenset(task.normal_form for name in DIFFICULTIES for kind in KINDS for task in held_out_tasks(name, kind))


def write_held_out(folder: Path, sandbox: Sandbox, *, tasks: int = TASKS) -> list[Path]:
    """Make the files anew; always the same bytes."""
    paths = []
    for number, (name, difficulty) in enumerate(DIFFICULTIES.items()):
        generator = np.random.default_rng([HELD_OUT_SEED, number])
        made = sorted(_drawn(sandbox, generator, difficulty, tasks), key=lambda task: KINDS.index(task.task_type))
        path = folder / f"{name}.jsonl"
        with replacing(path) as file:
            for task in made:
                kept = {field: getattr(task, field) for field in _Line.__struct_fields__}
                file.write(msgspec.json.encode(_Line(**kept)) + b"\n")
        paths.append(path)
    return paths


def overlap(texts: Iterable[str], sandbox: Sandbox, normal_forms: frozenset[str]) -> Iterator[str]:
    """The programs within the texts whose normal form is among those given; each distinct program is looked at once."""
    programs = dict.fromkeys(program.rstrip("\n") for text in texts for program in _PROGRAM.findall(text))
    for group in _groups(programs):
        results = sandbox.run_many([InspectJob(program=program) for program in group])
        for program, result in zip(group, results, strict=True):
            assert isinstance(result, InspectResult)
            if result.facts is not None and result.facts.normal_form in normal_forms:
                yield program


def _drawn(sandbox: Sandbox, generator: np.random.Generator, difficulty: Difficulty, tasks: int) -> Iterator[Task]:
    """So many tasks of each type, none twice."""
    seen: set[tuple[str, ...]] = set()
    of_program: Counter[tuple[str, str]] = Counter()
    of_kind: Counter[str] = Counter()
    stream = specimens(sandbox, generator, held_out=True, difficulty=difficulty)
    for place in count():
        specimen = next(stream)
        if specimen.program.steps < FEWEST_STEPS:
            continue
        for kind in KINDS:
            task = task_of(kind, specimen, place % PAIRS)
            program = (kind, task.normal_form)
            question = (*program, *(task.outputs if kind == "abduction" else sorted(task.inputs)))
            if question in seen or of_program[program] == MOST_OF_ONE_PROGRAM or of_kind[kind] == tasks:
                continue
            seen.add(question)
            of_program[program] += 1
            of_kind[kind] += 1
            yield task
        if all(of_kind[kind] == tasks for kind in KINDS):
            return


def _groups(programs: Iterable[str]) -> Iterator[list[str]]:
    group: list[str] = []
    for program in programs:
        group.append(program)
        if len(group) == _ROUND:
            yield group
            group = []
    if group:
        yield group
