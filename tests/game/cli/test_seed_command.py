"""`azr seed import`: tasks written whole, refusals told one by one."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from azr.cli.main import EXIT_ERROR, EXIT_USAGE, main
from azr.game.types import Task

SQUARE = {
    "snippet": "def f(a):\n    return pow(a, 2)",
    "input": "3",
    "output": "9.0",
    "imports": ["from math import pow"],
}
LINES = (
    SQUARE,
    {**SQUARE, "snippet": "def f(b):\n    return pow(b, 2)"},
    {**SQUARE, "output": "10"},
    {
        "snippet": "def f(a):\n    return secrets.randbelow(a)",
        "input": "9",
        "output": "",
        "imports": ["import secrets"],
    },
    {"snippet": "def f(a):\n    return a + 1", "input": "1", "output": "3"},
    {
        "snippet": "def f(a):\n    return a + 1",
        "inputs": [str(number) for number in range(10)],
        "outputs": [str(number + 1) for number in range(10)],
        "message": "The next one.",
        "imports": [],
    },
)


def test_files_become_tasks_with_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, output, refusals = (tmp_path / name for name in ("a.jsonl", "b.jsonl", "out.jsonl", "no.jsonl"))
    first.write_text("\n".join(json.dumps(line) for line in LINES[:3]) + "\n\n")
    second.write_text("nonsense\n" + "\n".join(json.dumps(line) for line in LINES[3:]))
    arguments = ["--output", str(output), "--refusals", str(refusals), "--backend", "process", "--workers", "1"]
    assert main(["seed", "import", str(first), str(second), *arguments]) == 0

    tasks = [msgspec.json.decode(line, type=Task) for line in output.read_bytes().splitlines()]
    assert [task.task_type for task in tasks] == ["deduction", "deduction", "induction"]
    assert tasks[0].program == "from math import pow\ndef f(a):\n    return pow(a, 2)"
    assert tasks[0].outputs == ("9.0",)
    assert tasks[1].outputs == ("2",)
    assert all(task.output_keys and task.fingerprint for task in tasks)

    refused = [json.loads(line) for line in refusals.read_bytes().splitlines()]
    assert [(Path(one["file"]).name, one["line"], one["reason"]) for one in refused] == [
        ("a.jsonl", 2, "duplicate"),
        ("a.jsonl", 3, "duplicate"),
        ("b.jsonl", 1, "not_a_seed"),
        ("b.jsonl", 2, "banned"),
    ]
    report = capsys.readouterr().err
    assert "accepted   3 (2 deduction, 1 induction); 1 of them with another output than stated" in report
    assert "refused    4" in report
    assert "2  duplicate: the task is known already" in report
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "b.jsonl", "no.jsonl", "out.jsonl"]


def test_a_line_that_nests_without_end_is_refused_and_the_rest_is_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = tmp_path / "a.jsonl", tmp_path / "out.jsonl"
    bad = '{"snippet": "def f(a): return a", "more": ' + "[" * 200_000
    source.write_text(bad + "\n" + json.dumps(SQUARE))
    arguments = ["--output", str(output), "--backend", "process", "--workers", "1", "--statistics"]
    assert main(["seed", "import", str(source), *arguments]) == 0
    assert len(output.read_bytes().splitlines()) == 1
    said = capsys.readouterr().err
    assert "1  not_a_seed: " in said
    assert "lines       2 answered, 1 of them not understood" in said
    assert "workers     0 replaced" in said


def test_tasks_and_refusals_are_not_written_to_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = ["--output", str(tmp_path / "out.jsonl"), "--refusals", str(tmp_path / "up" / ".." / "out.jsonl")]
    assert main(["seed", "import", "none.jsonl", *both]) == EXIT_USAGE
    assert "--output and --refusals are both " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_read_leaves_no_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out.jsonl"
    arguments = ["--output", str(output), "--backend", "process", "--workers", "1"]
    assert main(["seed", "import", str(tmp_path / "missing.jsonl"), *arguments]) == EXIT_ERROR
    assert "cannot read" in capsys.readouterr().err
    assert not output.exists()


def test_seeds_of_types_that_have_none_are_refused_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["tiny", "--config", "tiny", "algorithm.game.task_types=[error]", "--output", str(tmp_path / "out.jsonl")]
    assert main(["seed", "make", *words]) == EXIT_ERROR
    assert "the model makes no seeds of error\n  mend: put deduction, abduction or" in capsys.readouterr().err


def test_an_action_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["seed"]) == EXIT_USAGE
    assert "ACTION" in capsys.readouterr().err
