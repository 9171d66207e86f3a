"""What a machine too busy to tell is called, through the real pool: undecided by `gate` and `verify`, never wrong.

The rehearsal back end runs into the wall clock on demand, as often as it is asked.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from azr.cli.main import EXIT_ERROR, main
from tests.sandbox_wasm.plugin_example import install

Ask = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Ask]:
    """Give a command lines on a machine that is busy where a line says so, and get its answers."""
    site = tmp_path / "site"
    site.mkdir()
    install(site)
    sys.path.append(str(site))

    def answers(command: str, *lines: dict[str, Any]) -> list[dict[str, Any]]:
        source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
        source.write_text("".join(json.dumps(line) + "\n" for line in lines))
        assert main([command, str(source), "--output", str(target), "--backend", "rehearsal", "--workers", "1"]) == 0
        return [json.loads(line) for line in target.read_text().splitlines()]

    yield answers
    sys.path.remove(str(site))


def test_the_gate_says_retry(ask: Ask) -> None:
    program, other = ask(
        "gate",
        {"task": "deduction", "program": "retry", "inputs": ["1"]},
        {"task": "deduction", "program": "say", "inputs": ["1"]},
    )
    assert (program["accepted"], program["reason"]) == (False, "retry")
    assert other["reason"] == "syntax", "the rehearsal parses nothing"


def test_verify_says_retry_whether_a_run_or_a_reading_was_cut_off(ask: Ask) -> None:
    task = {"task": "abduction", "program": "say", "inputs": ["1"], "outputs": ["1"]}
    run, reading, told = ask(
        "verify",
        {**task, "answer": "!retry"},
        {**task, "task": "deduction", "answer": "?retry"},
        {**task, "task": "deduction", "answer": "1"},
    )
    assert [answer["reason"] for answer in (run, reading, told)] == ["retry", "retry", "correct"]
    assert [answer["correct"] for answer in (run, reading, told)] == [False, False, True]


def test_exec_which_judges_nothing_calls_it_a_timeout_and_names_the_clock(ask: Ask) -> None:
    """It stands three times as far as the fuel lasts, and no nearer than by default."""
    slow = {"program": "say", "inputs": ["!retry", "1"]}
    default, short, long = ask("exec", slow, {**slow, "timeout_s": 0.5}, {**slow, "timeout_s": 4})
    for answer, seconds in ((default, 6), (short, 6), (long, 12)):
        assert answer["results"] == [
            {"status": "timeout", "error": f"wall clock: not done after {seconds} s, twice"},
            {"status": "ok", "output": "1"},
        ]


def test_a_sandbox_that_breaks_while_it_works_is_told_with_a_mend(
    ask: Ask, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "leak.jsonl"
    source.write_text(json.dumps({"program": "leak page 7", "inputs": ["1"]}) + "\n")
    assert main(["exec", str(source), "--backend", "rehearsal", "--workers", "1"]) == EXIT_ERROR
    told = capfd.readouterr().err
    assert "cannot be trusted" in told
    assert "azr doctor" in told
