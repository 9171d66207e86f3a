"""The first tasks: from a file, or from a model; a model that brings nothing leaves the zero tasks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from actors.engine.records import GenerateRequest, Generation, Response
from azr.config import load
from azr.errors import AzrError
from azr.game.frames import frame
from azr.game.seeding import ZERO_PROGRAM, SeedingState
from azr.game.types import Version, VersionSpan
from azr.run.evaluation import held_out
from azr.run.folder import RunFolder
from azr.run.seeds import given_seeds, make_seeds, read_seeds, rules_of, seed_tasks, write_seeds
from azr.tiny.held_out import held_out_tasks
from sandbox_wasm.protocol import Sandbox


class Letters:
    """A tokenizer of characters."""

    frame = frame("compact")

    def encode(self, prompt: str) -> tuple[int, ...]:
        return tuple(prompt.encode())

    def length(self, text: str) -> int:
        return len(text)


class Saying:
    """An engine that says one thing."""

    def __init__(self, *texts: str) -> None:
        self.texts, self.asked = texts, list[GenerateRequest]()

    async def generate(self, request: GenerateRequest, deadline: float) -> Generation:
        self.asked.append(request)
        response = Response(
            token_ids=np.zeros(1, np.int32),
            logprobs=np.zeros(1, np.float32),
            spans=(VersionSpan(0, 1, Version(0, 0)),),
            text=self.texts[len(self.asked) % len(self.texts)],
        )
        return Generation(request=request.id, responses=(response,))


def made(sandbox: Sandbox, engine: Saying, *overrides: str) -> tuple[SeedingState, list[str]]:
    config = load(["tiny"], ["lengths.content=4000", "lengths.prompt=4000", "seeding.batch=4", *overrides])
    told: list[str] = []
    return asyncio.run(make_seeds(config, engine, Letters(), sandbox, lambda _: None, warn=told.append)), told


def test_a_model_of_garbage_leaves_the_zero_tasks_and_is_said(sandbox: Sandbox) -> None:
    state, told = made(sandbox, Saying("\x1b[31mnothing"), "seeding.stall_batches=3")
    assert [task.program for task in (*state.triplets, *state.inductions)] == [ZERO_PROGRAM] * 2
    assert len(told) == 1
    assert told[0].startswith("seeding stands still at 1 of 64 triplets")
    assert "; what there is must do\n  mend: look at the most frequent refusal" in told[0]


def test_requests_are_seeded_named_and_within_bounds(sandbox: Sandbox) -> None:
    engine = Saying("nothing")
    made(sandbox, engine, "seeding.stall_batches=2", "run.seed=5")
    assert [request.id for request in engine.asked] == [f"seed-{number}" for number in range(8)]
    assert [request.seed for request in engine.asked] == list(range(5, 13))
    assert {request.max_tokens for request in engine.asked} == {128}


def test_triplets_serve_deduction_and_abduction_alike(sandbox: Sandbox) -> None:
    state, _ = made(sandbox, Saying("nothing"), "seeding.stall_batches=1")
    kinds = [task.task_type for task in seed_tasks(state, load(["tiny"]))]
    assert kinds == ["deduction", "abduction", "induction"]
    alone = load(["tiny"], ["ablation=deduction_only"])
    assert [task.task_type for task in seed_tasks(state, alone)] == ["deduction"]


def test_seeds_travel_by_file(sandbox: Sandbox, tmp_path: Path) -> None:
    state, _ = made(sandbox, Saying("nothing"), "seeding.stall_batches=1")
    tasks = seed_tasks(state, load(["tiny"]))
    write_seeds(tmp_path / "seeds.jsonl", tasks)
    assert read_seeds(tmp_path / "seeds.jsonl", ["deduction", "abduction", "induction"]) == tasks
    assert read_seeds(tmp_path / "seeds.jsonl", ["induction"]) == tasks[-1:]


def test_seeds_about_programs_that_evaluation_asks_about_are_left_out(sandbox: Sandbox, tmp_path: Path) -> None:
    config = load(["tiny"])
    asked = held_out_tasks("common", "deduction", 1) + held_out_tasks("harder", "induction", 1)
    state, _ = made(sandbox, Saying("nothing"), "seeding.stall_batches=1")
    tasks = seed_tasks(state, config)
    write_seeds(tmp_path / "seeds.jsonl", [*asked, *tasks])
    kinds = ["deduction", "abduction", "induction"]
    assert read_seeds(tmp_path / "seeds.jsonl", kinds, held_out(config.evaluation)) == tasks
    assert len(read_seeds(tmp_path / "seeds.jsonl", kinds, frozenset())) == len(tasks) + 2


def test_the_gate_of_seeding_knows_the_held_out_programs_of_the_suite() -> None:
    form = held_out_tasks("harder", "abduction", 1)[0].normal_form
    assert form in rules_of(load(["tiny"], ["evaluation.suite=tiny"]), Letters()).held_out
    assert not rules_of(load(["tiny"], ["evaluation.suite=none"]), Letters()).held_out


def test_seeds_come_from_the_runs_own_file_then_from_the_one_that_is_named_then_from_the_model(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    state, _ = made(sandbox, Saying("nothing"), "seeding.stall_batches=1")
    tasks, folder = seed_tasks(state, load(["tiny"])), RunFolder(tmp_path)
    assert given_seeds(load(["tiny"]), folder) is None
    named = load(["tiny"], [f"seeding.file={tmp_path / 'named.jsonl'}"])
    with pytest.raises(AzrError, match=r"named\.jsonl cannot be read: No such file") as refused:
        given_seeds(named, folder)
    assert "seeding.file" in refused.value.mend
    write_seeds(tmp_path / "named.jsonl", tasks)
    assert given_seeds(named, folder) == tasks
    write_seeds(folder.seeds, tasks[:1])
    assert given_seeds(named, folder) == tasks[:1]


def test_a_file_that_is_none_is_refused_by_line(tmp_path: Path) -> None:
    with pytest.raises(AzrError, match="cannot be read: No such file"):
        read_seeds(tmp_path / "seeds.jsonl", ["deduction"])
    (tmp_path / "seeds.jsonl").write_text("{}\n")
    with pytest.raises(AzrError, match=r"line 1 of .* is no task"):
        read_seeds(tmp_path / "seeds.jsonl", ["deduction"])
    (tmp_path / "seeds.jsonl").write_text("")
    with pytest.raises(AzrError, match="holds no task of deduction"):
        read_seeds(tmp_path / "seeds.jsonl", ["deduction"])
