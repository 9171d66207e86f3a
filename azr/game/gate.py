"""The gate's rules: the steps from what a proposal says to a Task, or to a refusal with its reason.

Which tasks enter decides whether self-play survives, more than any reward does; so a task enters only when every step
holds. Task types put the steps together (`azr.game.tasks`); each step is a plan or a pure function, so that the same
rules serve actors, seeding and `azr gate`. No step looks into a program as Python: the guest parses, runs and reads.

    Candidate ─► text ─► syntax, entry, inputs ─► banned ─► runs, twice or more ─► round trip ─► fits ─► known ─► Task
                 host    InspectJob, LiteralJob   host      RunJob per probe       LiteralJob    host    host
                   └───────────┴──────────────────┴─────────────┴────────────────────┴────────────┴───────┴──► Refusal
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import msgspec

from azr.config.root import Config
from azr.game import plan
from azr.game.banned import Banned
from azr.game.identity import DuplicateBy, Kind, identified
from azr.game.limits import limits_of
from azr.game.plan import Plan
from azr.game.reasons import STUMBLES, GateReason, ParseReason, refused
from azr.game.types import Candidate, Refusal, Task
from sandbox_wasm.protocol import (
    DEFAULT_CLOCK,
    Facts,
    InspectJob,
    InspectResult,
    Limits,
    LiteralJob,
    Outcome,
    RunJob,
    Status,
    Value,
)

#: Longest text that is sent to the guest at all; programs of the game are a few hundred characters.
MAX_TEXT = 64 << 10


#: The sandbox's word for a program that does not parse, as a reason of the gate's.
_SYNTAX: dict[str, GateReason | ParseReason] = {
    "syntax": "syntax",
    "no_entry": "no_entry",
    "too_deep": "too_deep",
    "too_large": "too_large",
    "null_byte": "null_byte",
    "surrogate": "surrogate",
    "crashed": "crashed",
    "retry": "retry",
}

#: How a run or a reading that gave no value ended, as a reason of the gate's.
_ENDINGS: dict[Status, GateReason] = {
    "ok": "crashed",  # no value and yet well: only a back end that is broken says so
    "error": "error",
    "timeout": "timeout",
    "memory": "memory",
    "refused": "input_not_literal",
    "crashed": "crashed",
    "opaque": "opaque",
    "retry": "retry",
}


class Probe(msgspec.Struct, frozen=True):
    """The conditions of one run, all of which a program's value must not depend on."""

    snapshot: int
    random_seed: int
    clock: float


#: A year and some odd seconds, so that year, month, weekday, hour, minute and second of two probes all differ.
CLOCK_STEP = 34_567_891.25


def probes_of(count: int) -> tuple[Probe, ...]:
    """So many pristine interpreters that differ in all that a program could draw on besides its input."""
    return tuple(Probe(number, number, DEFAULT_CLOCK + number * CLOCK_STEP) for number in range(count))


PROBES = probes_of(2)

#: What the second and later probes get of the frames and of the memory that the first has. Programs that look for the
#: limits count frames one by one, so any fewer will show; memory they double until there is none, so half must show.
FEWER_FRAMES = 0.75
LESS_MEMORY = 0.5


def limits_of_probe(number: int, limits: Limits) -> Limits:
    """The limits of the n-th probe's runs: a value that hangs on them is no function of the input.

    An honest program that needs nearly all of either is refused as well: the solver is never told the limits, and could
    not say on which side of them it ends. What ends alike under both, such as endless recursion, is not told apart.
    """
    if number == 0:
        return limits
    return msgspec.structs.replace(
        limits,
        recursion=max(1, int(limits.recursion * FEWER_FRAMES)),
        memory_bytes=max(1, int(limits.memory_bytes * LESS_MEMORY)),
    )


class GateRules(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate demands, and what it is told of the world around it."""

    limits: Limits = Limits()
    probes: tuple[Probe, ...] = PROBES
    banned: Banned = msgspec.field(default_factory=Banned)
    length: Callable[[str], int] = len
    """Counts a text as the solver's model does; characters when no tokenizer is at hand."""
    max_output_length: int = 2_000
    """Longest output literal the solver could be asked to write; `of` sees that a response holds it."""
    prompt_length: Callable[[Task], int] | None = None
    """Length of the prompt in which a solver would meet the task; not checked when None."""
    max_prompt_length: int = 6_144
    reads_back: Callable[[Task], bool] | None = None
    """Whether the known answer would be read as it is from a solver's response; not checked when None."""
    control_texts: tuple[str, ...] = ()
    """Texts of the model's control tokens, which no prompt may hold but where the frame puts them; none when no
    tokenizer is at hand."""
    known: Callable[[str], bool] = lambda _fingerprint: False
    """Whether a task of this fingerprint exists already."""
    held_out: Collection[str] = frozenset()
    """Normal forms of programs that evaluation asks about, which must not be trained on."""
    duplicate_by: DuplicateBy = "program_and_inputs"
    """`program`: one task a program; `program_and_inputs`: a program may return with other inputs (abduction: with
    other outputs)."""
    induction_inputs: int = 10
    induction_shown: int = 5

    @classmethod
    def of(
        cls,
        config: Config,
        *,
        length: Callable[[str], int] = len,
        prompt_length: Callable[[Task], int] | None = None,
        reads_back: Callable[[Task], bool] | None = None,
        control_texts: tuple[str, ...] = (),
        known: Callable[[str], bool] = lambda _fingerprint: False,
        held_out: Collection[str] = frozenset(),
    ) -> GateRules:
        """The rules of a configuration; tokenizer, known and held-out tasks are the caller's."""
        gating, longest = config.gating, config.lengths.output
        if length is not len:  # characters are no measure of a response, whose limit is in tokens, its end one of them
            longest = min(longest, config.lengths.response - 1)
        return cls(
            limits=limits_of(config.sandbox),
            probes=probes_of(gating.probes),
            length=length,
            max_output_length=longest,
            prompt_length=prompt_length,
            max_prompt_length=config.lengths.prompt,
            reads_back=reads_back,
            control_texts=control_texts,
            known=known,
            held_out=held_out,
            duplicate_by=msgspec.convert(gating.duplicate_by, DuplicateBy),
            induction_inputs=gating.induction_inputs,
            induction_shown=gating.induction_shown,
        )


def refusal_of_text(*texts: str) -> Refusal | None:
    """Texts that no guest need see: too long, or impossible to encode."""
    for text in texts:
        if len(text) > MAX_TEXT:
            return refused("too_long", f"{len(text)} characters, at most {MAX_TEXT}")
        if not text.isascii() and not _encodes(text):
            return refused("surrogate")
    return None


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Examined(msgspec.Struct, frozen=True):
    """A candidate whose program parses and is allowed, with its inputs read as data."""

    facts: Facts
    inputs: tuple[Value, ...]


def examine(program: str, inputs: Sequence[str], rules: GateRules) -> Plan[Examined | Refusal]:
    """Parse the program and read its inputs, running nothing."""
    if not inputs:
        return refused("no_input", "there is nothing to run the program on")
    if (refusal := refusal_of_text(program, *inputs)) is not None:
        return refusal
    inspection, reading = yield from plan.inspect_and_read(
        InspectJob(program=program), LiteralJob(texts=tuple(inputs), form="arguments")
    )
    if inspection.facts is None:
        return refusal_of_inspection(inspection)
    if inspection.facts.parameters == 0:
        return refused("no_parameters")
    if (use := rules.banned.first_use(inspection.facts)) is not None:
        return refused("banned", use)
    if inspection.facts.normal_form in rules.held_out:
        return refused("held_out")
    values = []
    for outcome in reading.outcomes:
        if outcome.value is None:
            return refused(_ENDINGS[outcome.status], outcome.error)
        values.append(outcome.value)
    bound = yield from _bound(values, inspection.facts.signature)
    return bound if isinstance(bound, Refusal) else Examined(inspection.facts, bound)


#: A signature that takes no names, so that a call with some is bound to nothing and has them in order.
_UNKNOWN = "_, /"


def _bound(values: Sequence[Value], signature: str) -> Plan[tuple[Value, ...] | Refusal]:
    """The inputs as the entry takes them: arguments in their places, defaults filled in, each call in its one spelling.

    Otherwise one input would be several tasks, and a hidden input could be shown under another spelling. Where nothing
    is named and nothing is left to a default, as nearly always, what was read is that spelling already. Where nobody
    knows what is called, names are put in order.
    """
    texts = tuple(value.literal for value in values)
    if not any("=" in text for text in (signature, *texts)):
        return tuple(values)
    (reading,) = yield from plan.read(LiteralJob(texts=texts, form="arguments", signature=signature or _UNKNOWN))
    return values_of(reading.outcomes)


def refusal_of_inspection(inspection: InspectResult) -> Refusal:
    """Why there are no facts of a program."""
    return refused(_SYNTAX.get(inspection.reason, "syntax"), inspection.detail)


def run_probes(program: str, inputs: Sequence[Value], rules: GateRules) -> Plan[tuple[Outcome, ...] | Refusal]:
    """Run the program on each input under every probe; one outcome an input, the same under all of them.

    Two endings are the same when the status, the exact value and, for an error, its class agree: a message may hold an
    address or the order of a set without anybody being asked for it.
    """
    texts = tuple(value.literal for value in inputs)
    results = yield from plan.run(
        *(
            RunJob(
                program=program,
                inputs=texts,
                limits=limits_of_probe(number, rules.limits),
                snapshot=probe.snapshot,
                random_seed=probe.random_seed,
                clock=probe.clock,
            )
            for number, probe in enumerate(rules.probes)
        )
    )
    runs = [result.outcomes for result in results]
    for outcome in (outcome for outcomes in runs for outcome in outcomes):
        if outcome.status in STUMBLES:
            return refused(_ENDINGS[outcome.status], outcome.error)
    first, *others = runs
    for index, outcome in enumerate(first):
        for other in others:
            if _ending(other[index]) != _ending(outcome):
                return refused("nondeterministic", f"{_shown(outcome)} or {_shown(other[index])}")
    return first


def values_of(outcomes: Sequence[Outcome]) -> tuple[Value, ...] | Refusal:
    """The values of runs that must all have ended well."""
    values = []
    for outcome in outcomes:
        if outcome.value is None:
            return refused(_ENDINGS[outcome.status], outcome.error)
        values.append(outcome.value)
    return tuple(values)


def round_trip(values: Sequence[Value], limits: Limits) -> Plan[tuple[Value, ...] | Refusal]:
    """Each value's literal form is read as data where nothing of the program ever ran, and must give the same value.

    What was read is what counts from here on: the name of a value's type is nowhere in its other forms, so only a guest
    in which no program ran can be believed about it.
    """
    texts = tuple(value.literal for value in values)
    (result,) = yield from plan.read(LiteralJob(texts=texts, output_bytes=limits.output_bytes))
    found = []
    for value, outcome in zip(values, result.outcomes, strict=True):
        if outcome.status in STUMBLES:
            return refused(_ENDINGS[outcome.status], outcome.error)
        read = outcome.value
        # The literal as well: what a program had the guest write may hold more than the value, such as a comment.
        if read is None or (read.literal, read.exact, read.key) != (value.literal, value.exact, value.key):
            return refused("round_trip", f"{value.literal} is read as {_shown(outcome)}")
        found.append(read)
    return tuple(found)


def refusal_of_length(task: Task, rules: GateRules) -> Refusal | None:
    """Whether a solver could be shown the task and could write its outputs; a refusal, never a cut."""
    for output in task.outputs:
        if (length := rules.length(output)) > rules.max_output_length:
            return refused("output_too_long", f"{length}, at most {rules.max_output_length}")
    if rules.prompt_length is not None and (length := rules.prompt_length(task)) > rules.max_prompt_length:
        return refused("prompt_too_long", f"{length}, at most {rules.max_prompt_length}")
    return None


def refusal_of_reading(task: Task, rules: GateRules) -> Refusal | None:
    """Whether a right answer could be told from a response at all: one that holds the frame's own tags may not."""
    if rules.reads_back is None or rules.reads_back(task):
        return None
    return refused("answer_unreadable", task.outputs[0])


def refusal_of_control(task: Task, rules: GateRules) -> Refusal | None:
    """Whether prompts that show the task would hold a control token of the model's: a tokenizer makes one of its text,
    whoever wrote it, and the model takes it for the end of a turn."""
    for part in (task.program, task.message, *task.inputs, *task.outputs):
        for text in rules.control_texts:
            if text in part:
                return refused("control_token", text)
    return None


def refusal_of_duplicate(task: Task, rules: GateRules) -> Refusal | None:
    """Whether the task is known already."""
    return refused("duplicate", task.fingerprint) if rules.known(task.fingerprint) else None


def task_of(
    kind: Kind,
    candidate: Candidate,
    examined: Examined,
    *,
    outputs: Sequence[str],
    output_keys: Sequence[str],
    rules: GateRules,
    output_types: Sequence[str] = (),
    shown: int = 0,
) -> Task | Refusal:
    """The Task of a candidate whose runs held, unless it is too long for the solver, could not be shown or answered, or
    is known already."""
    unnamed = Task(
        id="",
        task_type=kind.name,
        program=candidate.program,
        inputs=tuple(value.literal for value in examined.inputs),
        outputs=tuple(outputs),
        output_keys=tuple(output_keys),
        output_types=tuple(output_types),
        message=candidate.message,
        shown=shown,
        normal_form=examined.facts.normal_form,
        components=candidate.components,
    )
    task = identified(kind, unnamed, rules.duplicate_by)
    return (
        refusal_of_length(task, rules)
        or refusal_of_control(task, rules)
        or refusal_of_reading(task, rules)
        or refusal_of_duplicate(task, rules)
        or task
    )


def task_of_values(
    kind: Kind, candidate: Candidate, examined: Examined, values: Sequence[Value], rules: GateRules, shown: int = 0
) -> Task | Refusal:
    """The same where the outputs are the values that the program gave, as `round_trip` read them."""
    return task_of(
        kind,
        candidate,
        examined,
        outputs=[value.literal for value in values],
        output_keys=[value.key for value in values],
        output_types=[value.type_name for value in values],
        rules=rules,
        shown=shown,
    )


def _ending(outcome: Outcome) -> tuple[str, str]:
    if outcome.value is not None:
        return outcome.status, outcome.value.exact
    return outcome.status, error_class(outcome) if outcome.status == "error" else ""


def error_class(outcome: Outcome) -> str:
    """The class name at the head of an error's text."""
    return outcome.error.partition(":")[0].strip()


def _shown(outcome: Outcome) -> str:
    return outcome.value.literal[:100] if outcome.value is not None else (outcome.error[:100] or outcome.status)


def single_run(
    kind: Kind,
    candidate: Candidate,
    rules: GateRules,
    refusal_of_facts: Callable[[Facts], Refusal | None] = lambda _facts: None,
) -> Plan[Task | Refusal]:
    """The gate of every type whose task is one program, one input and the value it gives."""
    examined = yield from examine(candidate.program, candidate.inputs, rules)
    if isinstance(examined, Refusal):
        return examined
    if (refusal := refusal_of_facts(examined.facts)) is not None:
        return refusal
    outcomes = yield from run_probes(candidate.program, examined.inputs, rules)
    values = outcomes if isinstance(outcomes, Refusal) else values_of(outcomes)
    if isinstance(values, Refusal):
        return values
    read = yield from round_trip(values, rules.limits)
    if isinstance(read, Refusal):
        return read
    return task_of_values(kind, candidate, examined, read, rules)
