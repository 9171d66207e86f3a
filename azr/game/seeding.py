"""Seeding: from the identity function to the first tasks, by the base model itself.

A pure state machine. It says what to ask next and is told what became of it; the model and the sandbox are the
caller's (`azr.run.seeds`).

    zero tasks ─► Seeding ── next_batch(), draw() ──► prompts ─► model ─► gate ─┐
                     ▲   triplets first (proposed as deduction and abduction    │
                     │   in turn), then induction tasks over their programs     │
                     └─────────────── report(Task | Refusal) ◄──────────────────┘
                                    done at both targets; SeedingStalledError when batches bring nothing new

The triplets serve deduction and abduction alike (`retyped`), because a gated triplet is a task of both. Nothing is
asked of types that are not in play, save that induction without the two has triplets proposed for their programs.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from azr.config.root import Config
from azr.errors import AzrError
from azr.game.gate import GateRules
from azr.game.identity import DuplicateBy, identified
from azr.game.plan import Plan
from azr.game.tasks import Ask, task_type
from azr.game.types import Candidate, Refusal, Task

#: The program that every self-play starts from, as its authors published it: the identity.
ZERO_PROGRAM = "def f(a):\n    return a"
ZERO_INPUT = "'Hello world'"
ZERO_INPUTS = (
    ZERO_INPUT,
    "7",
    "-2.5",
    "True",
    "None",
    "[1, 2, 3]",
    "('left', 'right')",
    "{'key': 'value'}",
    "''",
    "[[0, 1], [1, 0]]",
)
#: Where an induction task has more inputs than these, it goes on with 100, 101, …
ZERO_MORE = 100
ZERO_MESSAGE = "Whatever comes in goes out, untouched."

#: Types whose proposals are triplets.
TRIPLET_TYPES = ("deduction", "abduction")


class SeedingStalledError(AzrError):
    """The model brings nothing new."""


class SeedingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How many seeds, and how they are asked for. The published numbers."""

    @classmethod
    def of(cls, config: Config) -> SeedingSettings:
        """The settings of a configuration: nothing that serves no task type in play is wanted."""
        seeding, types = config.seeding, config.algorithm.game.task_types
        triplet_types = tuple(kind for kind in TRIPLET_TYPES if kind in types)
        inductions = seeding.inductions if "induction" in types else 0
        return cls(
            triplets=seeding.triplets if triplet_types or inductions else 0,
            inductions=inductions,
            triplet_types=triplet_types or TRIPLET_TYPES,
            batch=seeding.batch,
            induction_inputs=config.gating.induction_inputs,
            stall_batches=seeding.stall_batches,
            duplicate_by=msgspec.convert(config.gating.duplicate_by, DuplicateBy),
            references=config.algorithm.game.references,
            max_prompt_length=config.lengths.content,
        )

    triplets: int = 256
    inductions: int = 256
    triplet_types: tuple[str, ...] = TRIPLET_TYPES
    """As which triplets are proposed, in turn."""
    batch: int = 64
    induction_inputs: int = 10
    """As the gate's rules say."""
    stall_batches: int = 20
    """Batches in a row without a new task before giving up."""
    duplicate_by: DuplicateBy = "program_and_inputs"
    """As the gate's rules say."""
    references: int = 6
    """Known triplets shown to a proposer."""
    max_prompt_length: int = 5_600
    """Longest prompt for a proposer."""

    @property
    def wants_any(self) -> bool:
        """Whether there is anything to make."""
        return self.triplets > 0 or self.inductions > 0


class SeedingState(msgspec.Struct):
    """All that a resumed seeding needs besides its settings and the caller's random generator."""

    triplets: list[Task]
    inductions: list[Task]
    asked: int = 0
    programs_offered: int = 0
    idle_batches: int = 0
    """Batches since the last new task."""
    reasons: dict[str, int] = {}
    """How often each refusal was given."""

    @classmethod
    def beginning(cls, zero: Sequence[Task]) -> SeedingState:
        """Nothing but the zero tasks."""
        return cls(
            triplets=[task for task in zero if task.task_type != "induction"],
            inductions=[task for task in zero if task.task_type == "induction"],
        )


class Seeding:
    """The machine: what to ask, and what there is so far (`state`, which a checkpoint may hold)."""

    def __init__(self, settings: SeedingSettings, state: SeedingState, random: np.random.Generator) -> None:
        self.state = state
        self.settings = settings
        self._random = random
        self._fingerprints = {(task.task_type, task.fingerprint) for task in (*state.triplets, *state.inductions)}

    @classmethod
    def of(cls, config: Config, state: SeedingState, random: np.random.Generator) -> Seeding:
        """The machine of a configuration, at this state."""
        return cls(SeedingSettings.of(config), state, random)

    @property
    def done(self) -> bool:
        """Both targets are reached."""
        return not self._lacks_triplets and len(self.state.inductions) >= self.settings.inductions

    @property
    def standing(self) -> str:
        """How many there are of what is wanted, in words."""
        state, settings = self.state, self.settings
        counts = (
            (len(state.triplets), settings.triplets, "triplets"),
            (len(state.inductions), settings.inductions, "induction tasks"),
        )
        return " and ".join(f"{count} of {wanted} {noun}" for count, wanted, noun in counts if wanted)

    @property
    def _lacks_triplets(self) -> bool:
        return len(self.state.triplets) < self.settings.triplets

    def next_batch(self) -> tuple[str, ...]:
        """The task types to ask for now. Raises `SeedingStalledError` when asking has long brought nothing new."""
        if self.state.idle_batches >= self.settings.stall_batches:
            raise self._stalled()
        self.state.idle_batches += 1
        start, self.state.asked = self.state.asked, self.state.asked + self.settings.batch
        if not self._lacks_triplets:
            return ("induction",) * self.settings.batch
        kinds = self.settings.triplet_types
        return tuple(kinds[number % len(kinds)] for number in range(start, self.state.asked))

    def draw(self, kind: str, count: int) -> Ask:
        """What a proposer of that type is shown: known triplets by lot, or for induction the next program in turn."""
        triplets = self.state.triplets
        if kind == "induction":
            # In turn, so that each program gets its chance before any gets a second.
            program = triplets[self.state.programs_offered % len(triplets)]
            self.state.programs_offered += 1
            return Ask(references=(program,), inputs=self.settings.induction_inputs)
        chosen = self._random.choice(len(triplets), size=min(count, len(triplets)), replace=False)
        return Ask(references=tuple(triplets[index] for index in chosen))

    def report(self, outcome: Task | Refusal) -> bool:
        """What became of one proposal; whether it is a new seed."""
        reason = outcome.reason if isinstance(outcome, Refusal) else self._take(outcome)
        if reason:
            self.state.reasons[reason] = self.state.reasons.get(reason, 0) + 1
        return not reason

    def _take(self, task: Task) -> str:
        """Keep a task, or say why not."""
        is_induction = task.task_type == "induction"
        kept = self.state.inductions if is_induction else self.state.triplets
        target = self.settings.inductions if is_induction else self.settings.triplets
        task = task if is_induction else retyped(task, "deduction", self.settings.duplicate_by)
        mark = (task.task_type, task.fingerprint)
        if mark in self._fingerprints:
            return "duplicate"
        if len(kept) >= target:
            return "surplus"
        self._fingerprints.add(mark)
        kept.append(task)
        self.state.idle_batches = 0
        return ""

    def _stalled(self) -> SeedingStalledError:
        state, settings = self.state, self.settings
        by_frequency = sorted(state.reasons.items(), key=lambda item: -item[1])
        counts = ", ".join(f"{reason} {count}" for reason, count in by_frequency) or "none"
        return SeedingStalledError(
            f"seeding stands still at {self.standing}: {settings.stall_batches} batches of {settings.batch} brought"
            f" nothing new (refusals so far: {counts})",
            "look at the most frequent refusal (azr gate --reasons), sample at a higher temperature, use a frame the"
            " model knows, or import seeds with azr seed import",
        )


def retyped(task: Task, kind: str, duplicate_by: DuplicateBy = "program_and_inputs") -> Task:
    """The same triplet as a task of another type, told apart as that type does; deduction and abduction share them."""
    return identified(task_type(kind), task, duplicate_by)


def zero_inputs(count: int) -> tuple[str, ...]:
    """So many different inputs for the identity."""
    more = (str(ZERO_MORE + number) for number in range(count - len(ZERO_INPUTS)))
    return (*ZERO_INPUTS[:count], *more)


def zero_tasks(rules: GateRules) -> Plan[tuple[Task, Task]]:
    """The zero triplet and the zero induction task, through the gate like any other."""
    triplet = Candidate(program=ZERO_PROGRAM, inputs=(ZERO_INPUT,))
    induction = Candidate(program=ZERO_PROGRAM, inputs=zero_inputs(rules.induction_inputs), message=ZERO_MESSAGE)
    return (
        _accepted((yield from task_type("deduction").gate(triplet, rules))),
        _accepted((yield from task_type("induction").gate(induction, rules))),
    )


def _accepted(outcome: Task | Refusal) -> Task:
    if isinstance(outcome, Task):
        return outcome
    raise SeedingStalledError(
        f"the gate refuses the identity function: {outcome.reason} {outcome.detail}".rstrip(),
        "the gate's rules are stricter than any task can be, or the sandbox does not work (azr doctor)",
    )
