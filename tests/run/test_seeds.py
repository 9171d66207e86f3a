"""The first tasks: from a file, or from a model; a model that brings nothing leaves the zero tasks, and what was made
before an interruption is not made again."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from actors.engine.records import GenerateRequest, Generation, Response
from actors.rollout.errors import RolloutError
from azr.config import load
from azr.errors import AzrError
from azr.game.frames import frame
from azr.game.seeding import ZERO_PROGRAM, SeedingState, retyped
from azr.game.types import Version, VersionSpan
from azr.run.evaluation import held_out
from azr.run.folder import RunFolder
from azr.run.kept_seeding import unfinished
from azr.run.seeds import (
    fitting,
    given_seeds,
    make_seeds,
    read_seeds,
    require_file,
    rules_of,
    seed_tasks,
    write_seeds,
)
from azr.tiny.held_out import held_out_tasks
from sandbox_wasm.protocol import Sandbox


class Letters:
    """A tokenizer of characters."""

    frame = frame("compact")
    control_texts: tuple[str, ...] = ("<|end|>",)

    def encode(self, prompt: str) -> tuple[int, ...]:
        return tuple(prompt.encode())

    def length(self, text: str) -> int:
        return len(text)


class Saying:
    """An engine that says one thing; or is cut off each time."""

    def __init__(self, *texts: str, cut: bool = False) -> None:
        self.texts, self.cut, self.asked = texts, cut, list[GenerateRequest]()

    def says(self, request: GenerateRequest) -> str:
        return self.texts[len(self.asked) % len(self.texts)]

    async def generate(self, request: GenerateRequest, deadline: float) -> Generation:
        self.asked.append(request)
        response = Response(
            token_ids=np.zeros(1, np.int32),
            logprobs=np.zeros(1, np.float32),
            spans=(VersionSpan(0, 1, Version(0, 0)),),
            text=self.says(request),
            truncated=self.cut,
        )
        return Generation(request=request.id, responses=(response,))


class Inventing(Saying):
    """An engine with another idea for each request; it fails to answer some of them."""

    def __init__(self, fails: Callable[[int], bool] = lambda _number: False) -> None:
        super().__init__()
        self.fails = fails

    def says(self, request: GenerateRequest) -> str:
        number = int(request.id.removeprefix("seed-"))
        if self.fails(number):
            raise RolloutError("poisoned", f"request {request.id} failed 4 times: the engine died")
        if prompt_of(request).endswith("#n\n"):
            return "".join(f"#i {number + place}\n" for place in range(6)) + "#m look closely"
        return f"def f(a):\n    return a + {number}\n#i {number}"


def prompt_of(request: GenerateRequest) -> str:
    return bytes(request.prompt_ids).decode()


#: Six triplets and four induction tasks: `Inventing` needs two batches of four for the first, and one for the others.
FEW = ("seeding.triplets=6", "seeding.inductions=4", "algorithm.game.references=2", "evaluation.suite=none")


def made(sandbox: Sandbox, engine: Saying, *overrides: str, path: Path | None = None) -> tuple[SeedingState, list[str]]:
    config = load(["tiny"], ["lengths.content=4000", "lengths.prompt=4000", "seeding.batch=4", *overrides])
    told: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        path = path or Path(folder) / "seeds.jsonl"
        work = make_seeds(config, engine, Letters(), sandbox, lambda _: None, path=path, warn=told.append)
        return asyncio.run(work), told


def test_a_model_of_garbage_leaves_the_zero_tasks_and_is_said(sandbox: Sandbox) -> None:
    state, told = made(sandbox, Saying("\x1b[31mnothing"), "seeding.stall_batches=3")
    assert [task.program for task in (*state.triplets, *state.inductions)] == [ZERO_PROGRAM] * 2
    assert len(told) == 1
    assert told[0].startswith("seeding stands still at 1 of 64 triplets")
    assert "; what there is must do\n  mend: look at the most frequent refusal" in told[0]


def test_a_proposal_that_was_cut_off_is_refused_though_it_could_be_read(sandbox: Sandbox) -> None:
    proposal = "def f(a):\n    return a + 7\n#i 3"
    state, _ = made(sandbox, Saying(proposal, cut=True), "seeding.stall_batches=1")
    assert [task.program for task in state.triplets] == [ZERO_PROGRAM]
    assert state.reasons == {"truncated": 4}


def test_requests_are_seeded_named_and_within_bounds(sandbox: Sandbox) -> None:
    engine = Saying("nothing")
    made(sandbox, engine, "seeding.stall_batches=2", "run.seed=5")
    assert [request.id for request in engine.asked] == [f"seed-{number}" for number in range(8)]
    assert [request.seed for request in engine.asked] == list(range(5, 13))
    assert {request.max_tokens for request in engine.asked} == {128}


def test_a_request_that_fails_costs_its_own_proposal(sandbox: Sandbox) -> None:
    engine = Inventing(fails={1, 9}.__contains__)
    state, told = made(sandbox, engine, *FEW)
    assert [len(state.triplets), len(state.inductions), len(engine.asked)] == [6, 4, 12]
    assert told == [
        "1 of 4 requests for seeds failed and are left out; the first: "
        f"request seed-{number} failed 4 times: the engine died"
        for number in (1, 9)
    ]


def test_a_seeding_that_is_cut_off_goes_on_as_if_it_had_not_been(sandbox: Sandbox, tmp_path: Path) -> None:
    """Where every request of a batch fails no request is to blame, and seeding ends; so it does by time or a signal."""
    path, whole = tmp_path / "seeds.jsonl", Inventing()
    expected, _ = made(sandbox, whole, *FEW)
    first, then = Inventing(fails=lambda number: number >= 4), Inventing()
    with pytest.raises(RolloutError, match="request seed-4 failed 4 times") as failed:
        made(sandbox, first, *FEW, path=path)
    assert failed.value.mend
    state, told = made(sandbox, then, *FEW, "rollout.request_seconds=7", "run.name=moved", path=path)
    assert told == [
        f"seeding goes on from 5 of 6 triplets and 1 of 4 induction tasks, kept in {tmp_path}/seeds.jsonl.unfinished"
    ]
    assert [prompt_of(request) for request in [*first.asked[:4], *then.asked]] == list(map(prompt_of, whole.asked))
    assert state == expected
    write_seeds(path, seed_tasks(state, load(["tiny"])))
    assert list(tmp_path.iterdir()) == [path], "what was kept has served"


def test_what_was_kept_under_other_settings_is_left(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "seeds.jsonl"
    made(sandbox, Inventing(), *FEW, path=path)
    engine = Inventing()
    _, told = made(sandbox, engine, *FEW, "run.seed=5", "seeding.triplets=5", path=path)
    assert told == [f"{unfinished(path)} was made under another run.seed, seeding.triplets; seeding begins anew"]
    assert engine.asked[0].id == "seed-0"


def test_what_was_kept_of_another_model_in_the_same_folder_is_left(sandbox: Sandbox, tmp_path: Path) -> None:
    """As after a second export to it. What else is written there is no matter."""
    model = tmp_path / "model"
    model.mkdir()
    weights, path = model / "model.safetensors", model / "seeds.jsonl"
    weights.write_bytes(b"first")
    words = [*FEW, f"model.path={model}"]
    with pytest.raises(RolloutError):
        made(sandbox, Inventing(fails=lambda number: number >= 4), *words, path=path)
    (model / "notes.md").write_text("made of it")
    os.utime(weights, (1e9, 1e9))  # as a copy of it has
    with pytest.raises(RolloutError):
        made(sandbox, Inventing(fails=lambda number: number >= 8), *words, path=path)
    weights.write_bytes(b"other")
    engine = Inventing()
    _, told = made(sandbox, engine, *words, path=path)
    assert told == [f"{unfinished(path)} was made under another model.path (its files); seeding begins anew"]
    assert engine.asked[0].id == "seed-0"


def test_a_seeding_that_cannot_be_kept_goes_on_and_says_so_once(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "seeds.jsonl"
    unfinished(path).mkdir()
    state, told = made(sandbox, Inventing(), *FEW, path=path)
    assert [len(state.triplets), len(state.inductions)] == [6, 4]
    unread, unwritten = told
    assert "seeds.jsonl.unfinished cannot be read" in unread
    assert "seeds.jsonl.unfinished cannot be written (Is a directory); seeding goes on" in unwritten


@pytest.mark.parametrize(
    ("types", "asked"),
    [
        ("deduction", {"#d"}),
        ("deduction,abduction", {"#d", "#a"}),
        ("induction", {"#d", "#a", "#n"}),
        ("abduction,induction,error", {"#a", "#n"}),
        ("error", set()),
    ],
)
def test_nothing_is_asked_of_types_that_are_not_in_play(sandbox: Sandbox, types: str, asked: set[str]) -> None:
    """Induction alone needs programs all the same. Of error prediction there are no seeds."""
    engine = Inventing()
    state, told = made(sandbox, engine, *FEW, f"algorithm.game.task_types=[{types}]")
    assert {prompt_of(request).splitlines()[-1] for request in engine.asked} == asked
    assert not told
    tasks = seed_tasks(state, load(["tiny"], [f"algorithm.game.task_types=[{types}]"]))
    assert {task.task_type for task in tasks} == set(types.split(",")) - {"error"}


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


def test_a_triplet_that_is_written_once_is_a_seed_of_deduction_and_of_abduction(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """`azr seed import` writes triplets as deductions; a run that plays both must not begin without abductions."""
    state, _ = made(sandbox, Inventing(), *FEW)
    path, config = tmp_path / "imported.jsonl", load(["tiny"], [f"seeding.file={tmp_path / 'imported.jsonl'}"])
    expected = seed_tasks(state, config)
    for alone, other in (("deduction", "abduction"), ("abduction", "deduction")):
        write_seeds(path, [task for task in expected if task.task_type == alone])
        found = given_seeds(config, RunFolder(tmp_path))
        assert found == [task for kind in (alone, other) for task in expected if task.task_type == kind]
        assert read_seeds(path, [other]) == [task for task in expected if task.task_type == other]


def test_seeds_that_are_too_long_for_a_run_are_left_out_and_counted(sandbox: Sandbox) -> None:
    config = load(["tiny"], ["evaluation.suite=none"])
    state, _ = made(sandbox, Inventing(), *FEW)
    tasks, told = seed_tasks(state, config), list[str]()
    assert fitting(tasks, load(["tiny"], ["lengths.prompt=4000"]), Letters(), told.append) == tasks
    assert told == []
    long = msgspec.structs.replace(tasks[0], program=tasks[0].program + " " * 4000)
    wordy = msgspec.structs.replace(tasks[0], outputs=("'" + "a" * config.lengths.output + "'",))
    assert fitting([long, *tasks, wordy], load(["tiny"], ["lengths.prompt=4000"]), Letters(), told.append) == tasks
    counts = f"2 of {len(tasks) + 2} seeds do not suit this run (prompt_too_long 1, output_too_long 1)"
    assert told == [f"{counts} and are left out"]
    with pytest.raises(AzrError, match="1 of 1 seeds do not suit this run") as refused:
        fitting([wordy], config, Letters(), told.append)
    assert "lengths.output" in refused.value.mend


def test_seeds_that_spell_a_control_token_of_the_model_are_left_out(sandbox: Sandbox) -> None:
    """The file may come from a model that has no such token."""
    config = load(["tiny"], ["evaluation.suite=none", "lengths.prompt=4000"])
    state, _ = made(sandbox, Inventing(), *FEW)
    tasks, told = seed_tasks(state, config), list[str]()
    ending = msgspec.structs.replace(tasks[0], inputs=("'<|end|>'",))
    assert fitting([ending, *tasks], config, Letters(), told.append) == tasks
    assert told == [f"1 of {len(tasks) + 1} seeds do not suit this run (control_token 1) and are left out"]


def test_seeds_about_programs_that_evaluation_asks_about_are_left_out(sandbox: Sandbox, tmp_path: Path) -> None:
    config = load(["tiny"])
    asked = [
        retyped(task, task.task_type)
        for task in held_out_tasks("common", "deduction", 1) + held_out_tasks("harder", "induction", 1)
    ]
    state, _ = made(sandbox, Saying("nothing"), "seeding.stall_batches=1")
    tasks = seed_tasks(state, config)
    write_seeds(tmp_path / "seeds.jsonl", [*asked, *tasks])
    kinds = ["deduction", "abduction", "induction"]
    assert read_seeds(tmp_path / "seeds.jsonl", kinds, held_out(config.evaluation)) == tasks
    assert len(read_seeds(tmp_path / "seeds.jsonl", kinds, frozenset())) == len(tasks) + 3, "a triplet and an induction"


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


def test_a_run_whose_types_have_no_seeds_resumes_with_none(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_seeds(folder.seeds, [])
    assert given_seeds(load(["tiny"], ["algorithm.game.task_types=[error]"]), folder) == []


def test_a_file_that_is_none_is_refused_by_line(tmp_path: Path) -> None:
    with pytest.raises(AzrError, match="cannot be read: No such file"):
        read_seeds(tmp_path / "seeds.jsonl", ["deduction"])
    for bad in (b"{}", b'{"id": "\xff"}', b'{"more": ' + b"[" * 200_000):
        (tmp_path / "seeds.jsonl").write_bytes(b"\n" + bad)
        with pytest.raises(AzrError, match=r"line 2 of .* is no task"):
            read_seeds(tmp_path / "seeds.jsonl", ["deduction"])
    (tmp_path / "seeds.jsonl").write_text("")
    with pytest.raises(AzrError, match="holds no task of deduction"):
        read_seeds(tmp_path / "seeds.jsonl", ["deduction"])


@pytest.mark.parametrize("lacking", ["id", "normal_form", "fingerprint"])
def test_a_line_that_no_gate_has_let_in_is_refused_before_it_is_a_runs_own_seed(tmp_path: Path, lacking: str) -> None:
    """Buffers tell tasks apart by these: one without would end the run, and each resume of it."""
    (whole,) = held_out_tasks("common", "deduction", 1)
    task = msgspec.structs.replace(retyped(whole, "deduction"), **{lacking: ""})
    write_seeds(tmp_path / "mine.jsonl", [retyped(whole, "deduction"), task])
    config = load(["tiny"], [f"seeding.file={tmp_path / 'mine.jsonl'}"])
    with pytest.raises(AzrError, match=r"line 2 of .*mine\.jsonl is a task that the gate has not let in") as refused:
        require_file(config, RunFolder(tmp_path / "run"))
    assert "azr seed import" in refused.value.mend
