"""Held-out tasks answered by the run's own engines: before training, after it, and what changed between the two.

Called by the driver and by `azr eval`. The tasks and their judging are `azr.tiny`'s; whoever answers is a function of
prompts here: the rollout client with the model's tokenizer.

    questions ─ prompts ─► engines (greedy; sampled) ─ responses ─► sandbox ─► rows ─► evaluations.jsonl, table, metrics
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from actors.engine.records import GenerateRequest, Generation
from azr.config.sections.evaluation import EvaluationConfig
from azr.decoding import UNDECODABLE
from azr.errors import AzrError
from azr.files import append_lines
from azr.game.frames import Frame
from azr.metrics import Accumulator
from azr.tiny.evaluation import CutOff, RespondAsync, Row, evaluate_async, questions
from azr.tiny.held_out import held_out_normal_forms
from sandbox_wasm.protocol import Sandbox

#: Requests under way at once: more than an engine samples at a time, so that it is never short of them.
UNDER_WAY = 256


class OldWeightsError(AzrError):
    """An engine answered with weights from before those that were to be evaluated."""


class Generator(Protocol):
    """Whoever samples; `actors.rollout.client.RolloutClient` is one."""

    async def generate(self, request: GenerateRequest, deadline: float) -> Generation:
        """The responses within so many seconds."""
        ...


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """One evaluation, as it is kept in the run's folder."""

    step: int
    """Learner steps behind the weights."""
    seconds: float
    rows: list[Row]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One line of what was learned: shares of right answers, or of accepted proposals."""

    difficulty: str
    cell: str
    sampling: str
    before: float
    after: float
    lengths: tuple[float, float] = (0.0, 0.0)
    """Mean characters of a response, before and after."""

    @property
    def points(self) -> float:
        """By how many percentage points it rose."""
        return 100.0 * (self.after - self.before)


def held_out(config: EvaluationConfig) -> frozenset[str]:
    """Normal forms of the programs that the configured suite asks about: they may not become tasks of the run."""
    return held_out_normal_forms() if config.suite == "tiny" else frozenset()


def responder(
    engines: Generator,
    encode: Callable[[str], Sequence[int]],
    *,
    tag: str,
    deadline: float,
    seed: int,
    longest: int,
    step: int = 0,
) -> RespondAsync:
    """Answers of the engines to prompts, of so many tokens at most, by weights of this step or later ones. Requests are
    named after `tag`, and seeded: the same weights answer alike."""
    free = asyncio.Semaphore(UNDER_WAY)
    asked = 0

    async def one(prompt: str, temperature: float, number: int) -> str:
        request = GenerateRequest(
            id=f"{tag}-{number}",
            prompt_ids=tuple(encode(prompt)),
            seed=seed + number,
            max_tokens=longest,
            temperature=temperature,
        )
        async with free:
            generation = await engines.generate(request, deadline)
        (response,) = generation.responses
        for span in response.spans:
            if span.version.step < step:  # it serves on with what it had when it cannot take new ones
                raise OldWeightsError(
                    f"{generation.replica} answered with weights of step {span.version.step}, not of step {step}",
                    "the logs of the engines say why; azr eval RUN asks the newest checkpoint",
                )
        return CutOff(response.text) if response.truncated else response.text

    async def respond(prompts: list[str], temperature: float) -> list[str]:
        nonlocal asked
        first, asked = asked, asked + len(prompts)
        waiting: list[Awaitable[str]] = [
            one(prompt, temperature, first + place) for place, prompt in enumerate(prompts)
        ]
        return list(await asyncio.gather(*waiting))

    return respond


async def evaluate(
    respond: RespondAsync, sandbox: Sandbox, config: EvaluationConfig, around: Frame, tell: Callable[[str], None]
) -> list[Row]:
    """All rows of the configured suite."""
    rows: list[Row] = []
    asked = list(questions(tasks=config.tasks, samples=config.samples, wrapped_by=around))
    async for row in evaluate_async(respond, sandbox, iter(asked)):
        rows.append(row)
        tell(f"{len(rows)} of {len(asked)} questions, last {row.difficulty} {row.cell}")
    return rows


def keep(path: Path, evaluation: Evaluation) -> None:
    """Append an evaluation to the run's file."""
    append_lines(path, msgspec.json.encode(evaluation) + b"\n")


def read(path: Path) -> list[Evaluation]:
    """All evaluations of a run, in the order in which they were made; lines that cannot be read, as half a one of a
    crash, are passed over."""
    if not path.exists():
        return []
    found = []
    for line in path.read_bytes().splitlines():
        try:
            found.append(msgspec.json.decode(line, type=Evaluation))
        except UNDECODABLE:
            continue
    return found


def baseline_missing(path: Path, step: int) -> bool:
    """Whether the weights before any training are at hand and were never evaluated: the run is new, or its drivers
    were ended before they had done it."""
    return step == 0 and not read(path)


def tell(metrics: Accumulator, evaluation: Evaluation) -> None:
    """The rows as metrics, told apart by difficulty, cell and sampling."""
    for row in evaluation.rows:
        label = f"{row.difficulty}/{row.cell}/{row.sampling}"
        metrics.add("eval/accuracy", row.right, label=label, at=evaluation.step)
        metrics.add("eval/malformed", row.malformed, label=label, at=evaluation.step)
        metrics.add("eval/tasks", row.responses, label=label, at=evaluation.step)
        metrics.add("eval/length", row.length, label=label, at=evaluation.step)


def comparable(before: Sequence[Row], after: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """The rows of both that are answers to the same questions: `evaluation.tasks` may change between two drivers, and
    the held-out files between two versions."""
    known = {(row.difficulty, row.cell, row.sampling): row for row in before}
    pairs = [
        (first, row)
        for row in after
        if (first := known.get((row.difficulty, row.cell, row.sampling))) is not None and first.asked == row.asked
    ]
    return [first for first, _ in pairs], [last for _, last in pairs]


def changes(before: Sequence[Row], after: Sequence[Row]) -> list[Change]:
    """What changed, row by row, for rows that can be compared."""
    return [
        Change(
            difficulty=last.difficulty,
            cell=last.cell,
            sampling=last.sampling,
            before=first.right,
            after=last.right,
            lengths=(first.length, last.length),
        )
        for first, last in zip(*comparable(before, after), strict=True)
    ]


def overall(rows: Sequence[Row], sampling: str, difficulty: str = "common") -> float | None:
    """The share of right answers over the task types together, each counting for its answers."""
    chosen = [
        row for row in rows if (row.difficulty, row.sampling) == (difficulty, sampling) and row.cell.endswith("/solve")
    ]
    asked = sum(row.responses for row in chosen)
    return sum(row.right * row.responses for row in chosen) / asked if asked else None


def change_columns(before: int, after: int) -> tuple[str, ...]:
    """The head of the table below, for evaluations of these steps."""
    return ("tasks", "cell", "sampling", f"step {before}", f"step {after}", "points", "length")


def change_rows(before: Sequence[Row], after: Sequence[Row]) -> list[tuple[str, ...]]:
    """The table of what was learned: each cell with the mean length of its responses in characters, then all types of
    solving together."""
    before, after = comparable(before, after)
    shown: list[tuple[str, ...]] = [
        (
            one.difficulty,
            one.cell,
            one.sampling,
            f"{one.before:.1%}",
            f"{one.after:.1%}",
            f"{one.points:+.1f}",
            "{:.0f} → {:.0f}".format(*one.lengths),
        )
        for one in changes(before, after)
    ]
    for difficulty in ("common", "harder"):
        for sampling in ("greedy", "sampled"):
            first, last = overall(before, sampling, difficulty), overall(after, sampling, difficulty)
            if first is not None and last is not None:
                points = f"{100 * (last - first):+.1f}"
                shown.append((difficulty, "all solving", sampling, f"{first:.1%}", f"{last:.1%}", points, ""))
    return shown
