"""The table is right about responders whose quality is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from azr.errors import AzrError
from azr.tiny.evaluation import Row, evaluate, evaluate_folder, held_out_specimens, show
from azr.tiny.grammar import COMMON
from azr.tiny.world import is_held_out
from sandbox_wasm.protocol import Sandbox


def test_held_out_tasks_are_the_same_for_everybody_and_never_trained_on(sandbox: Sandbox) -> None:
    few, more = (held_out_specimens(sandbox, count, COMMON) for count in (3, 5))
    assert more[:3] == few
    assert all(is_held_out(specimen.normal_form) for specimen in more)


def test_one_who_always_writes_nonsense_is_never_right(sandbox: Sandbox) -> None:
    table = list(evaluate(lambda prompts, _temperature: ["(("] * len(prompts), sandbox, tasks=3, samples=2))
    assert {row.right for row in table} == {0.0}
    assert {row.malformed for row in table} == {1.0}
    assert {row.cell for row in table} == {
        f"{kind}/{role}" for kind in ("deduction", "abduction", "induction") for role in ("propose", "solve")
    }


def test_one_who_repeats_a_valid_proposal_is_accepted_and_a_constant_answer_sometimes_right(sandbox: Sandbox) -> None:
    def respond(prompts: list[str], _temperature: float) -> list[str]:
        return ["def f(a):\n return a\n#i 3" if prompt.endswith(("#d\n", "#a\n")) else "0" for prompt in prompts]

    rows = {(row.cell, row.sampling): row for row in evaluate(respond, sandbox, tasks=12, samples=1)}
    assert rows["deduction/propose", "sampled"].right == 1.0
    assert rows["induction/propose", "sampled"].right == 0.0
    assert rows["deduction/solve", "greedy"].malformed == 0.0
    assert rows["deduction/solve", "greedy"].right == rows["deduction/solve", "sampled"].right


def test_the_table_is_shown_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show([Row("common", "deduction/solve", "greedy", 10, 0.5, 0.1)], tmp_path / "table.json")
    assert "50.0%" in capsys.readouterr().out
    assert json.loads((tmp_path / "table.json").read_text())[0]["right"] == 0.5


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(AzrError, match="is no model folder"):
        evaluate_folder(tmp_path, tasks=1, samples=1, workers=1)
