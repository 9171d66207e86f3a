"""How good a model is at the tiny world: accuracy by cell on programs it has never seen.

Owns the questions and their judging. Called by `azr tiny evaluate` with transformers, and by a run with its engines;
whoever answers is a function of prompts. Answers are judged by the game's own gate and verifier in the sandbox.

    held-out files ──► Question(prompts) ──► greedy and sampled responses ──► judge in the sandbox ──► Row by cell
                                                                               └─ undecided: again, then an error
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from rich.table import Table

from azr.errors import AzrError
from azr.files import write_bytes
from azr.game import play
from azr.game.frames import THOUGHT, Frame, frame
from azr.game.gate import GateRules
from azr.game.plan import Plan, drive_async, drive_many
from azr.game.reasons import UNDECIDED
from azr.game.tasks import Ask, task_type
from azr.game.types import Refusal, Task, Verdict
from azr.game.verification import VerifyRules
from azr.piped import PipedConsole
from azr.tiny.held_out import DIFFICULTIES, KINDS, held_out_tasks
from azr.tiny.shipped import model_folder
from azr.tiny.world import PAIRS
from sandbox_wasm.pool import open_sandbox
from sandbox_wasm.protocol import Limits, Sandbox

#: Longest response in tokens; the corpus has none longer.
LONGEST_RESPONSE = 128

#: Fuel decides, as everywhere. The wall stands as far behind it as in a run: were it as near as the fuel, a machine
#: with other work would end runs that have fuel left, and the accuracy would be the machine's.
_LIMITS = msgspec.structs.replace(Limits.of_seconds(0.5), wall_seconds=Limits().wall_seconds)

#: How often a response is judged when the sandbox stumbles, as often as by players (`actors.judge_tries`).
TRIES = 3

_COMPACT = frame("compact")

#: Plans that a run's evaluation has in the sandbox at a time.
_WINDOW = 64

#: Prompts and temperature (0: greedy) to responses, those that were cut at the length limit as `CutOff`.
Respond = Callable[[list[str], float], list[str]]
RespondAsync = Callable[[list[str], float], Awaitable[list[str]]]


#: Heads of a table of rows; lengths are in characters.
_COLUMNS = ("tasks", "cell", "sampling", "responses", "right", "malformed", "length")


class CutOff(str):
    """A response that was cut at its length limit: wrong, or refused, whatever it holds, as it is in training."""


class UndecidedError(AzrError):
    """A response that the sandbox could not judge: to call it wrong, or to leave it out, would be another number."""


class Row(msgspec.Struct, frozen=True):
    """One cell of one difficulty under one way of sampling."""

    difficulty: str
    cell: str
    sampling: str
    responses: int
    right: float
    """Share of answers that are right; of proposals, of those that the gate accepts, copies and repeats too."""
    malformed: float
    """Share from which no answer could be read, or that was cut off; of proposals, all that the gate refuses."""
    length: float = 0.0
    """Mean characters of a response: it grows when a model takes to working answers out."""
    asked: str = ""
    """Digest of the prompts: only answers to the same questions can be compared. Empty of rows before there was one."""


@dataclass(frozen=True)
class Question:
    """What is asked for one row of the table: prompts, the temperature of the answers, and how they are judged."""

    difficulty: str
    cell: str
    sampling: str
    prompts: list[str]
    plan: Callable[[int, str], Plan[Any]]
    """The judging of a response to the prompt of that place."""

    @property
    def temperature(self) -> float:
        """0 when greedy."""
        return 0.0 if self.sampling == "greedy" else 1.0

    def plans(self, responses: Sequence[str]) -> list[Plan[Any]]:
        """The judging of all responses, in order."""
        if len(responses) != len(self.prompts):
            raise ValueError(f"{self.cell}: {len(responses)} responses to {len(self.prompts)} prompts")
        return [self._decided(place, response) for place, response in enumerate(responses)]

    def _decided(self, place: int, response: str) -> Plan[Any]:
        for _ in range(TRIES):
            judged = yield from self.plan(place, response)
            if not isinstance(judged, Verdict | Refusal) or judged.reason not in UNDECIDED:
                return judged
        raise UndecidedError(
            f"a response to {self.difficulty} {self.cell} ({self.sampling}) could not be judged in {TRIES} tries:"
            f" {judged.reason} {judged.detail}".rstrip(),
            "the machine is short of processor time or memory: evaluate again when it has less to do",
        )

    def row(self, responses: Sequence[str], judged: Sequence[Verdict | Task | Refusal]) -> Row:
        """The row that responses and their judgements make."""
        right = [one.correct if isinstance(one, Verdict) else isinstance(one, Task) for one in judged]
        read = [
            not isinstance(response, CutOff)
            and (one.well_formed if isinstance(one, Verdict) else isinstance(one, Task))
            for response, one in zip(responses, judged, strict=True)
        ]
        return Row(
            self.difficulty,
            self.cell,
            self.sampling,
            responses=len(judged),
            right=float(np.mean(right)),
            malformed=1.0 - float(np.mean(read)),
            length=float(np.mean([len(response) for response in responses])),
            asked=hashlib.sha256("\0".join(self.prompts).encode()).hexdigest()[:12],
        )


def questions(
    *,
    tasks: int,
    samples: int,
    wrapped_by: Frame = _COMPACT,
    difficulties: Sequence[str] = tuple(DIFFICULTIES),
    proposals: bool = True,
) -> Iterator[Question]:
    """All questions of the table: solving greedily once and sampled so many times, proposing once for each task."""
    for difficulty in difficulties:
        for kind in KINDS:
            problems = held_out_tasks(difficulty, kind, tasks)
            yield solving(difficulty, kind, "greedy", problems, wrapped_by)
            if samples:
                yield solving(difficulty, kind, "sampled", problems * samples, wrapped_by)
    for kind in KINDS if proposals else ():
        yield _proposing(kind, held_out_tasks("common", "deduction", tasks), wrapped_by)


def evaluate(respond: Respond, sandbox: Sandbox, *, tasks: int, samples: int) -> Iterator[Row]:
    """The table of whatever responds to prompts, row by row."""
    for question in questions(tasks=tasks, samples=samples):
        responses = respond(question.prompts, question.temperature)
        yield question.row(responses, list(drive_many(question.plans(responses), sandbox)))


async def evaluate_async(respond: RespondAsync, sandbox: Sandbox, asked: Iterator[Question]) -> AsyncIterator[Row]:
    """The same beside a running event loop; deadlines are the responder's own."""
    for question in asked:
        responses = await respond(question.prompts, question.temperature)
        free = asyncio.Semaphore(_WINDOW)

        async def judged(plan: Plan[Any], free: asyncio.Semaphore = free) -> Any:
            async with free:
                return await drive_async(plan, sandbox)

        yield question.row(responses, await asyncio.gather(*map(judged, question.plans(responses))))


def evaluate_folder(folder: Path, *, tasks: int, samples: int, workers: int | None) -> list[Row]:
    """The table of a model folder."""
    from learner.policy import require_whole_weights

    require_whole_weights(model_folder(str(folder)))
    with open_sandbox("wasm", workers=workers) as sandbox:
        return list(evaluate(responder(folder), sandbox, tasks=tasks, samples=samples))


def solving(difficulty: str, kind: str, sampling: str, problems: list[Task], wrapped_by: Frame = _COMPACT) -> Question:
    """These problems of one type, each asked once."""
    family, rules = task_type(kind), VerifyRules(limits=_LIMITS)

    def plan(place: int, response: str) -> Plan[Verdict]:
        cut = isinstance(response, CutOff)
        return play.judge_attempt(family, problems[place], response, wrapped_by, rules, truncated=cut)

    prompts = [play.solve_prompt(problem, family, wrapped_by) for problem in problems]
    return Question(difficulty, f"{kind}/solve", sampling, prompts, plan)


def _proposing(kind: str, references: list[Task], wrapped_by: Frame) -> Question:
    family = task_type(kind)
    rules = GateRules(limits=_LIMITS, induction_inputs=PAIRS, induction_shown=PAIRS // 2)
    asks = [Ask(references=(reference,), inputs=PAIRS) for reference in references]

    def plan(place: int, response: str) -> Plan[Task | Refusal]:
        if isinstance(response, CutOff):
            return Refusal("truncated")
        return (yield from play.judge_proposal(family, response, asks[place], wrapped_by, rules))

    prompts = [play.propose_prompt(family, ask, wrapped_by) for ask in asks]
    return Question("common", f"{kind}/propose", "sampled", prompts, plan)


def responder(folder: Path, *, batch: int = 64, seed: int = 0, thought: bool | None = None) -> Respond:
    """Responses of a model folder by transformers: slower than an engine, and in need of none.

    `thought`: whether each begins with a line of thought or none does; None leaves that to the model.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    opening = tokenizer(f"{THOUGHT} ", add_special_tokens=False)["input_ids"][0]
    end = model.generation_config.eos_token_id  # one, several or none
    ends = torch.tensor([] if end is None else end)
    constraint = {"begin_suppress_tokens": [opening]} if thought is False else {}

    @torch.no_grad()
    def respond(prompts: list[str], temperature: float) -> list[str]:
        torch.manual_seed(seed)
        texts: list[str] = []
        for start in range(0, len(prompts), batch):
            inputs = tokenizer(prompts[start : start + batch], return_tensors="pt", padding=True)
            # top_k 0: sampled from the whole distribution, as the game does; transformers cuts at 50 unless told.
            sampling: dict[str, Any] = {"do_sample": temperature > 0.0}
            sampling |= {"temperature": temperature, "top_k": 0} if temperature else {}
            begun = torch.full((len(inputs["input_ids"]), 1 if thought else 0), opening)
            output = model.generate(
                input_ids=torch.cat([inputs["input_ids"], begun], dim=1),
                attention_mask=torch.cat([inputs["attention_mask"], torch.ones_like(begun)], dim=1),
                max_new_tokens=LONGEST_RESPONSE,
                **sampling,
                **constraint,
            )
            responses = output[:, inputs["input_ids"].shape[1] :]
            said = tokenizer.batch_decode(responses, skip_special_tokens=True)
            ended = torch.isin(responses, ends).any(dim=1).tolist()
            texts += [text if whole else CutOff(text) for text, whole in zip(said, ended, strict=True)]
        return texts

    return respond


def table_of(rows: Sequence[Row]) -> str:
    """The table as Markdown, for model cards and documentation."""
    head, *body = (f"| {' | '.join(cells)} |\n" for cells in (_COLUMNS, *map(_cells, rows)))
    return "".join((head, "|" + "---|" * len(_COLUMNS) + "\n", *body))


def _cells(row: Row) -> tuple[str, ...]:
    """A row as the table's words."""
    shares = (f"{row.right:.1%}", f"{row.malformed:.1%}")
    return (row.difficulty, row.cell, row.sampling, str(row.responses), *shares, f"{row.length:.0f}")


def show(table: list[Row], output: Path | None) -> None:
    """Print the table; write it as JSON as well when told where."""
    shown = Table(*_COLUMNS)
    for row in table:
        shown.add_row(*_cells(row))
    if output is not None:  # first, for who reads the table may leave before its end
        write_bytes(output, msgspec.json.format(msgspec.json.encode(table)) + b"\n")
    PipedConsole().print(shown)
