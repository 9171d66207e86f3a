"""How good a model is at the tiny world: accuracy by cell on programs it has never seen.

Owns the held-out tasks and the table. Called by `azr tiny evaluate`. Held-out programs are drawn from a fixed seed on
the held-out side of the split, so they are the same for everybody; the model's answers are judged by the game's own
gate and verifier in the sandbox.

    held-out specimens ──► prompts ──► greedy and sampled responses ──► judge in the sandbox ──► rows by cell
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from azr.errors import AzrError
from azr.files import write_bytes
from azr.game import play
from azr.game.frames import frame
from azr.game.gate import GateRules
from azr.game.plan import Plan, drive_many
from azr.game.tasks import Ask, task_type
from azr.game.types import Task
from azr.game.verification import VerifyRules
from azr.tiny.corpus import task_of
from azr.tiny.grammar import COMMON, HARDER, Difficulty
from azr.tiny.world import PAIRS, Specimen, specimens
from sandbox_wasm.pool import open_sandbox
from sandbox_wasm.protocol import Limits, Sandbox

#: Seed of the held-out tasks. Changing it changes every published table.
HELD_OUT_SEED = 20_26

KINDS = ("deduction", "abduction", "induction")

#: Longest response in tokens; the corpus has none longer.
_LONGEST_RESPONSE = 128

_LIMITS = Limits.of_seconds(0.5)

#: Prompts and temperature (0: greedy) to responses.
Respond = Callable[[list[str], float], list[str]]


class Row(msgspec.Struct, frozen=True):
    """One cell of one difficulty under one way of sampling."""

    difficulty: str
    cell: str
    sampling: str
    responses: int
    right: float
    """Share of answers that are right; of proposals, of those that the gate accepts."""
    malformed: float
    """Share from which no answer could be read; of proposals, all that the gate refuses."""


def evaluate_folder(folder: Path, *, tasks: int, samples: int, workers: int | None) -> list[Row]:
    """The table of a model folder."""
    if not (folder / "config.json").exists():
        raise AzrError(f"{folder} is no model folder", "name one that holds config.json, e.g. what `azr export` wrote")
    with open_sandbox("wasm", workers=workers) as sandbox:
        return list(evaluate(responder(folder), sandbox, tasks=tasks, samples=samples))


def evaluate(respond: Respond, sandbox: Sandbox, *, tasks: int, samples: int) -> Iterator[Row]:
    """The table of whatever responds to prompts."""
    for name, difficulty in (("common", COMMON), ("harder", HARDER)):
        held_out = held_out_specimens(sandbox, tasks, difficulty)
        for kind in KINDS:
            problems = [task_of(kind, specimen, index % PAIRS) for index, specimen in enumerate(held_out)]
            for sampling, repeats in (("greedy", 1), ("sampled", samples)):
                yield _solve_row(name, kind, sampling, problems * repeats, respond, sandbox)
    for kind in KINDS:
        yield _propose_row(kind, held_out_specimens(sandbox, tasks, COMMON), respond, sandbox)


def held_out_specimens(sandbox: Sandbox, count: int, difficulty: Difficulty) -> list[Specimen]:
    """The first so many held-out specimens of a difficulty: the same for everybody."""
    generator = np.random.default_rng(HELD_OUT_SEED)
    return list(islice(specimens(sandbox, generator, held_out=True, difficulty=difficulty), count))


def _solve_row(
    difficulty: str, kind: str, sampling: str, problems: list[Task], respond: Respond, sandbox: Sandbox
) -> Row:
    family, compact = task_type(kind), frame("compact")
    prompts = [play.solve_prompt(problem, family, compact) for problem in problems]
    responses = respond(prompts, 0.0 if sampling == "greedy" else 1.0)
    plans = [
        play.judge_attempt(family, problem, response, compact, VerifyRules(limits=_LIMITS))
        for problem, response in zip(problems, responses, strict=True)
    ]
    verdicts = list(drive_many(plans, sandbox))
    right = np.mean([verdict.correct for verdict in verdicts])
    malformed = np.mean([not verdict.well_formed for verdict in verdicts])
    return Row(difficulty, f"{kind}/solve", sampling, len(verdicts), float(right), float(malformed))


def _propose_row(kind: str, references: list[Specimen], respond: Respond, sandbox: Sandbox) -> Row:
    family, compact = task_type(kind), frame("compact")
    asks = [Ask(references=(task_of("deduction", specimen),), inputs=PAIRS) for specimen in references]
    responses = respond([play.propose_prompt(family, ask, compact) for ask in asks], 1.0)
    rules = GateRules(limits=_LIMITS, induction_inputs=PAIRS, induction_shown=PAIRS // 2)
    plans: list[Plan[Any]] = [
        play.judge_proposal(family, response, ask, compact, rules)
        for ask, response in zip(asks, responses, strict=True)
    ]
    accepted = float(np.mean([isinstance(judged, Task) for judged in drive_many(plans, sandbox)]))
    return Row("common", f"{kind}/propose", "sampled", len(asks), accepted, 1.0 - accepted)


def responder(folder: Path, *, batch: int = 64, seed: int = 0) -> Respond:
    """Responses of a model folder by transformers: slower than an engine, and in need of none."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    @torch.no_grad()
    def respond(prompts: list[str], temperature: float) -> list[str]:
        torch.manual_seed(seed)
        texts: list[str] = []
        for start in range(0, len(prompts), batch):
            inputs = tokenizer(prompts[start : start + batch], return_tensors="pt", padding=True)
            sampling = {"do_sample": temperature > 0.0} | ({"temperature": temperature} if temperature else {})
            output = model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=_LONGEST_RESPONSE,
                top_k=0,
                **sampling,
            )
            responses = output[:, inputs["input_ids"].shape[1] :]
            texts += tokenizer.batch_decode(responses, skip_special_tokens=True)
        return texts

    return respond


def show(table: list[Row], output: Path | None) -> None:
    """Print the table; write it as JSON as well when told where."""
    columns = ("difficulty", "cell", "sampling", "responses", "right", "malformed")
    shown = Table(*columns)
    for row in table:
        shown.add_row(
            row.difficulty, row.cell, row.sampling, str(row.responses), f"{row.right:.1%}", f"{row.malformed:.1%}"
        )
    Console().print(shown)
    if output is not None:
        write_bytes(output, msgspec.json.format(msgspec.json.encode(table)) + b"\n")
