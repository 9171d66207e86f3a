"""Pairs of prompt and response for all six cells, in the game's own compact prompts.

Owns what the tiny model is pretrained on. Called by `azr.tiny.pretrain`. Prompts come from the task types, so that what
the model learns is what the game will ask; responses are what the task types read.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from azr.game import play
from azr.game.frames import THOUGHT, frame
from azr.game.tasks import Ask, task_type
from azr.game.types import Task
from azr.tiny.world import PAIRS, Specimen
from learner.supervised import Pair

#: References shown to a proposer in pretraining, at most; the tiny preset plays with none.
MOST_REFERENCES = 2

#: Deduction and abduction pairs drawn of one specimen: predicting outputs is what running a program in the head is
#: learned from, and running it backwards is harder still.
DEDUCTIONS = 4
ABDUCTIONS = 2

#: Chance that a deduction or an abduction is worked out before it is answered. Nothing tells the model that this pays;
#: rewards do. An induction's answer is a program, and nothing is to be worked out before it.
WORKED_OUT = 0.25

_FRAME = frame("compact")


def task_of(kind: str, specimen: Specimen, pair: int = 0) -> Task:
    """A task of that type made of a specimen; of deduction and abduction it is about one of its pairs."""
    chosen = slice(None) if kind == "induction" else slice(pair, pair + 1)
    return Task(
        id=f"{kind}-{specimen.normal_form[:12]}-{pair}",
        task_type=kind,
        program=specimen.program.text,
        inputs=specimen.inputs[chosen],
        outputs=specimen.outputs[chosen],
        message=specimen.program.words if kind == "induction" else "",
        shown=PAIRS // 2 if kind == "induction" else 0,
        normal_form=specimen.normal_form,
    )


def pairs_of(specimen: Specimen, others: list[Specimen], generator: np.random.Generator) -> Iterator[Pair]:
    """All pairs that one specimen gives; `others` serve as the references of its proposals."""
    program = specimen.program.text
    for pair in generator.permutation(PAIRS)[:DEDUCTIONS].tolist():
        forwards = [f"{expression}={value}" for expression, value in specimen.workings[pair]]
        thought = _thought(forwards, generator)
        yield Pair(_solve(task_of("deduction", specimen, pair)), thought + specimen.outputs[pair])
    for pair in generator.permutation(PAIRS)[:ABDUCTIONS].tolist():
        backwards = [f"{value}={expression}" for expression, value in reversed(specimen.workings[pair])]
        thought = _thought(backwards, generator)
        yield Pair(_solve(task_of("abduction", specimen, pair)), thought + specimen.inputs[pair])
    yield Pair(_solve(task_of("induction", specimen)), program)

    inputs = "".join(f"#i {given}\n" for given in specimen.inputs)
    own = Ask(references=(task_of("deduction", specimen),), inputs=PAIRS)
    yield Pair(_propose("induction", own), f"{inputs}#m {specimen.program.words}")

    kind = ("deduction", "abduction")[int(generator.integers(2))]
    shown = others[: int(generator.integers(MOST_REFERENCES + 1))]
    ask = Ask(references=tuple(task_of(kind, other) for other in shown), inputs=PAIRS)
    yield Pair(_propose(kind, ask), f"{program}\n#i {specimen.inputs[int(generator.integers(PAIRS))]}")


def corpus(stream: Iterator[Specimen], generator: np.random.Generator, specimens: int) -> Iterator[Pair]:
    """The pairs of so many specimens; references of a proposal are the specimens drawn just before."""
    recent: list[Specimen] = []
    for _ in range(specimens):
        specimen = next(stream)
        yield from pairs_of(specimen, recent, generator)
        recent = [specimen, *recent[: MOST_REFERENCES - 1]]


def _thought(lines: list[str], generator: np.random.Generator) -> str:
    """These lines as a thought before an answer, or none of them."""
    return "".join(f"{THOUGHT} {line}\n" for line in lines) if generator.random() < WORKED_OUT else ""


def _solve(task: Task) -> str:
    return play.solve_prompt(task, task_type(task.task_type), _FRAME)


def _propose(kind: str, ask: Ask) -> str:
    return play.propose_prompt(task_type(kind), ask, _FRAME)
