"""The first tasks of a run: from a file, or made by the base model itself with the run's engines and sandbox.

Called by the driver before players start, and by `azr seed make`. Carries `azr.game.seeding`'s machine; adds engines.

    Seeding ── kinds ─► compose ─► engines ─► gate in the sandbox ─► Seeding.report        … until it is done or stalls
       └─ after each batch ─► seeds.jsonl.unfinished, taken up by whoever makes the same seeds next
    triplets as deduction and abduction, induction tasks ─► seeds.jsonl ─► task buffers
"""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np

from actors.engine.records import GenerateRequest
from actors.rollout.errors import RolloutError
from azr.config.root import Config
from azr.decoding import UNDECODABLE
from azr.errors import AzrError
from azr.files import write_bytes
from azr.game.composing import Composition, compose_proposal
from azr.game.frames import Frame
from azr.game.gate import GateRules, refusal_of_control, refusal_of_length, refusal_of_reading
from azr.game.identity import DuplicateBy
from azr.game.plan import drive_async
from azr.game.play import judge_proposal, reads_back, solve_prompt
from azr.game.seeding import TRIPLET_TYPES, Seeding, SeedingStalledError, SeedingState, retyped, zero_tasks
from azr.game.tasks import task_type
from azr.game.types import Refusal, Task
from azr.run.evaluation import Generator, held_out
from azr.run.folder import RunFolder
from azr.run.kept_seeding import KeptSeeding, unfinished
from azr.text import shortened
from sandbox_wasm.protocol import Sandbox


class Tokens(Protocol):
    """The model's tokenizer; `actors.players.tokens.Tokens` is one."""

    frame: Frame
    control_texts: tuple[str, ...]
    """Texts of which it makes control tokens."""

    def encode(self, prompt: str) -> tuple[int, ...]:
        """A framed prompt as tokens."""
        ...

    def length(self, text: str) -> int:
        """How many tokens a text has."""
        ...


async def make_seeds(
    config: Config,
    engines: Generator,
    tokens: Tokens,
    sandbox: Sandbox,
    tell: Callable[[str], None],
    *,
    path: Path,
    warn: Callable[[str], None],
) -> SeedingState:
    """Carry seeding to its end; `tell` hears how far it is. What there is after each batch is kept beside `path`, the
    file that the seeds are for, and taken up from there. Where the model brings nothing new for long, what there is by
    then is all there is: `warn` hears of it."""
    rules, random = rules_of(config, tokens), np.random.default_rng([config.run.seed, 1])
    kept = KeptSeeding(path, config, warn)
    if (taken_up := kept.take_up(random)) is not None:
        machine = Seeding.of(config, taken_up, random)
        warn(f"seeding goes on from {machine.standing}, kept in {kept.path}")
    else:
        zero = await drive_async(zero_tasks(rules), sandbox)
        machine = Seeding.of(config, SeedingState.beginning(zero), random)
    while not machine.done:
        try:
            kinds = machine.next_batch()
        except SeedingStalledError as stalled:
            warn(f"{stalled.what}; what there is must do\n  mend: {stalled.mend}")
            break
        first = machine.state.asked - len(kinds)
        made = [_composed(machine, kind, tokens, config) for kind in kinds]
        outcomes = await asyncio.gather(
            *(
                _proposed(kind, composition, first + place, config, engines, tokens, rules, sandbox)
                for place, (kind, composition) in enumerate(zip(kinds, made, strict=True))
            )
        )
        for outcome in _answered(outcomes, warn):
            machine.report(outcome)
        kept.keep(machine.state, random)
        tell(machine.standing)
    return machine.state


def _answered(outcomes: Sequence[Task | Refusal | RolloutError], warn: Callable[[str], None]) -> list[Task | Refusal]:
    """What became of a batch's proposals, without those whose request failed; where all of them did, no request is to
    blame, and the first one's error is raised."""
    failed = [outcome for outcome in outcomes if isinstance(outcome, RolloutError)]
    if failed and len(failed) == len(outcomes):
        raise failed[0]
    if failed:
        why = shortened(failed[0].what, 200)
        warn(f"{len(failed)} of {len(outcomes)} requests for seeds failed and are left out; the first: {why}")
    return [outcome for outcome in outcomes if not isinstance(outcome, RolloutError)]


def rules_of(config: Config, tokens: Tokens) -> GateRules:
    """The gate's rules, lengths as the model counts them."""

    def prompt_length(task: Task) -> int:
        return tokens.length(solve_prompt(task, task_type(task.task_type), tokens.frame))

    return GateRules.of(
        config,
        length=tokens.length,
        prompt_length=prompt_length,
        reads_back=lambda task: reads_back(task, task_type(task.task_type), tokens.frame),
        control_texts=tokens.control_texts,
        held_out=held_out(config.evaluation),
    )


def seed_tasks(state: SeedingState, config: Config) -> list[Task]:
    """The buffers' first tasks, of the task types in play: each triplet is one of deduction and one of abduction."""
    by = msgspec.convert(config.gating.duplicate_by, DuplicateBy)
    types = config.algorithm.game.task_types
    tasks = [retyped(task, kind, by) for kind in ("deduction", "abduction") if kind in types for task in state.triplets]
    return tasks + (state.inductions if "induction" in types else [])


def write_seeds(path: Path, tasks: Sequence[Task]) -> None:
    """Write tasks as JSON lines, the form of `azr seed import`. What was kept of their making has served."""
    encoder = msgspec.json.Encoder()
    write_bytes(path, b"".join(encoder.encode(task) + b"\n" for task in tasks))
    unfinished(path).unlink(missing_ok=True)


def read_seeds(
    path: Path,
    task_types: Sequence[str],
    apart: Collection[str] = frozenset(),
    duplicate_by: DuplicateBy = "program_and_inputs",
) -> list[Task]:
    """Tasks from JSON lines, those of other types and of normal forms kept apart left out; a file without any is
    refused. A triplet that stands there as a task of deduction or of abduction alone is one of the other as well:
    `azr seed import` writes each once."""
    tasks = _tasks_of(path)
    chosen = _chosen([*tasks, *_lacking(tasks, duplicate_by)], task_types, apart)
    if not chosen:
        raise AzrError(f"{path} holds no task of {', '.join(task_types)}", "make seeds of the types in play")
    return chosen


def fitting(tasks: Sequence[Task], config: Config, tokens: Tokens, warn: Callable[[str], None]) -> list[Task]:
    """Those of a file that the run's solvers can be shown and can answer, as its gate would have it: the file may have
    been made for other lengths or another model. `warn` hears of the others."""
    rules = rules_of(config, tokens)
    kept, refused = list[Task](), Counter[str]()
    for task in tasks:
        refusal = refusal_of_length(task, rules) or refusal_of_control(task, rules) or refusal_of_reading(task, rules)
        if refusal is None:
            kept.append(task)
        else:
            refused[refusal.reason] += 1
    if refused:
        reasons = ", ".join(f"{reason} {count}" for reason, count in refused.most_common())
        told = f"{refused.total()} of {len(tasks)} seeds do not suit this run ({reasons})"
        if not kept:
            mend = "raise lengths.prompt, lengths.output or lengths.response, or name other seeds (seeding.file)"
            raise AzrError(told, mend)
        warn(f"{told} and are left out")
    return kept


def _lacking(tasks: Sequence[Task], duplicate_by: DuplicateBy) -> list[Task]:
    """The triplets among these as tasks of the type, deduction or abduction, that they do not stand there for."""
    known = {(task.task_type, task.program, task.inputs) for task in tasks}
    return [
        retyped(task, kind, duplicate_by)
        for kind in TRIPLET_TYPES
        for task in tasks
        if task.task_type in TRIPLET_TYPES and (kind, task.program, task.inputs) not in known
    ]


def _chosen(tasks: Sequence[Task], task_types: Sequence[str], apart: Collection[str]) -> list[Task]:
    return [task for task in tasks if task.task_type in task_types and task.normal_form not in apart]


def _tasks_of(path: Path) -> list[Task]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise AzrError(
            f"the seeds {path} cannot be read: {error.strerror}", "name a file that azr seed make wrote (seeding.file)"
        ) from error
    decoder = msgspec.json.Decoder(Task)
    tasks = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            task = decoder.decode(line)
        except UNDECODABLE as error:
            raise AzrError(
                f"line {number} of {path} is no task: {error}", "make the file with azr seed make"
            ) from error
        if not (task.id and task.normal_form and task.fingerprint):  # by which buffers tell tasks apart
            raise AzrError(
                f"line {number} of {path} is a task that the gate has not let in: its id, normal_form or fingerprint is"
                " missing",
                "make the file with azr seed make or azr seed import, or as docs/extending.md says for other types; or"
                " take the line out",
            )
        tasks.append(task)
    return tasks


def given_seeds(config: Config, folder: RunFolder) -> list[Task] | None:
    """The tasks of a file: of the run's own seeds where it has made them, else of `seeding.file`; None where the model
    is to make them. The run's own may be none: there are task types of which seeding makes no tasks."""
    types, apart = config.algorithm.game.task_types, held_out(config.evaluation)
    if folder.seeds.exists():
        return _chosen(_tasks_of(folder.seeds), types, apart)
    by = msgspec.convert(config.gating.duplicate_by, DuplicateBy)
    return read_seeds(Path(config.seeding.file), types, apart, by) if config.seeding.file else None


def require_file(config: Config, folder: RunFolder) -> None:
    """Refuse a `seeding.file` that cannot be read, and will have to be, before anything is started for it."""
    if not folder.seeds.exists():
        given_seeds(config, folder)


def _composed(machine: Seeding, kind: str, tokens: Tokens, config: Config) -> Composition:
    return compose_proposal(
        task_type(kind),
        tokens.frame,
        functools.partial(machine.draw, kind),
        references=machine.settings.references,
        length=tokens.length,
        limit=config.lengths.content,
    )


async def _proposed(
    kind: str,
    composition: Composition,
    number: int,
    config: Config,
    engines: Generator,
    tokens: Tokens,
    rules: GateRules,
    sandbox: Sandbox,
) -> Task | Refusal | RolloutError:
    """One proposal, from the prompt to the gate's word, or to why the engines gave none."""
    request = GenerateRequest(
        id=f"seed-{number}",
        prompt_ids=tokens.encode(composition.prompt),
        seed=config.run.seed + number,
        max_tokens=config.lengths.response,
        temperature=config.algorithm.sampling.temperature,
    )
    try:
        generation = await engines.generate(request, config.rollout.request_seconds)
    except RolloutError as error:
        return error
    (response,) = generation.responses
    if response.truncated:  # as players refuse it: what was cut might parse by luck
        return Refusal("truncated")
    plan = judge_proposal(task_type(kind), response.text, composition.ask, tokens.frame, rules)
    return await drive_async(plan, sandbox)
