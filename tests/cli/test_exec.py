"""`azr exec`: the forms of its lines, its options, and its manners as a program among others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from azr.cli.main import EXIT_ERROR, EXIT_USAGE, main

#: From the command to the answer to its first line, everything it compiles being compiled already.
FIRST_ANSWER_SECONDS = 5.0

ADD = "def f(a, b):\n    return a + b"
LOOP = "def f(x):\n    while True:\n        pass"


def azr_exec(lines: Sequence[object], *arguments: str, timeout: float = 100) -> tuple[list[dict[str, object]], str]:
    """Answers and what was said on standard error, from a process of its own."""
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    done = subprocess.run(
        [sys.executable, "-m", "azr.cli.main", "exec", "--workers", "1", *arguments],
        input=text, capture_output=True, text=True, timeout=timeout, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_each_line_is_answered_in_the_documented_form_by_the_default_back_end() -> None:
    answers, said = azr_exec(
        [
            {"id": 7, "program": ADD, "inputs": ["'ab', 'c'", "1, 2"], "timeout_s": 2},
            {"id": "seven", "program": "def f(x):\n    return {3, 1, 2}", "inputs": ["0"], "source": "elsewhere"},
            {"program": "def f(x):\n    raise ValueError('no ' + x)", "inputs": ["'luck'"]},
            {"id": [1, 2], "program": "def f(x):\n    return lambda: x", "inputs": ["1"]},
            {"id": None, "program": "def f(x):\n    return x", "inputs": ["__import__('os')", "1"]},
            {"id": 1.5, "program": LOOP, "inputs": ["1"], "timeout_s": 0.2},
            {"id": 8, "program": ADD, "inputs": []},
        ],
        "--statistics",
    )
    assert answers[0] == {"id": 7, "results": [{"status": "ok", "output": "'abc'"}, {"status": "ok", "output": "3"}]}
    assert answers[1] == {"id": "seven", "results": [{"status": "ok", "output": "{1, 2, 3}"}]}
    assert answers[2] == {"id": None, "results": [{"status": "error", "error": "ValueError: no luck"}]}
    statuses = [[result["status"] for result in answer["results"]] for answer in answers]  # type: ignore[attr-defined]
    assert statuses[3:] == [["opaque"], ["refused", "ok"], ["timeout"], []]
    assert [answer["id"] for answer in answers[3:]] == [[1, 2], None, 1.5, 8]
    assert "7 answered" in said


def test_a_bad_line_is_answered_by_its_number_and_the_rest_is_done() -> None:
    answers, _ = azr_exec(
        [
            "nonsense",
            {"id": 2, "program": ADD, "inputs": "1, 2"},
            {"id": 3, "program": ADD, "inputs": ["1, 2"], "timeout_s": 0},
            {"id": 4, "program": ADD, "inputs": ["1, 2"]},
        ],
        "--backend",
        "process",
    )
    assert [(answer["id"], answer.get("line")) for answer in answers] == [(None, 1), (2, 2), (3, 3), (4, None)]
    assert "Expected `array`, got `str` - at `$.inputs`" in str(answers[1]["error"])
    assert answers[3]["results"] == [{"status": "ok", "output": "3"}]


@pytest.mark.parametrize("options", [("--backend", "process"), ("--instances", "restored")], ids=" ".join)
def test_other_back_ends_and_instances_answer_alike(options: tuple[str, ...]) -> None:
    answers, _ = azr_exec([{"id": 1, "program": ADD, "inputs": ["[1], [2.5]"]}], *options)
    assert answers == [{"id": 1, "results": [{"status": "ok", "output": "[1, 2.5]"}]}]


def test_the_first_line_is_answered_soon_and_before_the_second_is_written() -> None:
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "azr.cli.main", "exec", "--workers", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"id": 1, "program": ADD, "inputs": ["1, 2"]}).encode() + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == 1
        assert time.monotonic() - began < FIRST_ANSWER_SECONDS
        process.stdin.write(json.dumps({"id": 2, "program": ADD, "inputs": ["1, 2"]}).encode() + b"\n")
        process.stdin.close()
        assert json.loads(process.stdout.readline())["id"] == 2
        assert process.wait(20) == 0


def test_a_file_is_read_and_a_file_is_written_whole(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out" / "results.jsonl"
    source.write_text("".join(json.dumps({"id": k, "program": ADD, "inputs": [f"{k}, 1"]}) + "\n" for k in range(50)))
    assert main(["exec", str(source), "--output", str(target), "--backend", "process", "--workers", "1"]) == 0
    outputs = [json.loads(line)["results"][0]["output"] for line in target.read_text().splitlines()]
    assert outputs == [str(k + 1) for k in range(50)]
    assert [entry.name for entry in target.parent.iterdir()] == ["results.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        ([os.devnull, "--backend", "wasn"], EXIT_USAGE, "Did you mean 'wasm'?"),
        ([os.devnull, "--backend", "process", "--instances", "fresh"], EXIT_USAGE, "no option 'instances'"),
        (["/no/such/file"], EXIT_ERROR, "cannot read /no/such/file: No such file or directory"),
        (["/"], EXIT_ERROR, "cannot read /: it is a folder"),
        (["--timeout", "-1"], EXIT_USAGE, "'-1' is no number above 0 and at most 3600"),
        (["--workers", "x"], EXIT_USAGE, "'x' is no whole number of at least 1"),
    ],
)
def test_a_mistake_is_told_with_its_mend(
    arguments: list[str], status: int, told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["exec", *arguments]) == status
    assert told in capfd.readouterr().err


@pytest.mark.parametrize("command", ["exec", "gate", "verify"])
def test_a_folder_in_the_place_of_the_output_is_told_before_a_sandbox_is_opened(
    command: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([command, os.devnull, "--output", str(tmp_path), "--backend", "wasn"]) == EXIT_ERROR
    assert f"{tmp_path}: Is a directory\n  mend: check the path" in capfd.readouterr().err


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_whoever_closed_a_standard_stream_still_gets_the_answers(closed: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(json.dumps({"id": 1, "program": ADD, "inputs": ["1, 2"]}) + "\n")
    words = f"exec {source} --output {target} --backend process --workers 1 --statistics"
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m azr.cli.main {words} {closed}"],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")
    assert "Traceback" not in done.stderr
    assert json.loads(target.read_text())["results"] == [{"status": "ok", "output": "3"}]


def test_a_hang_up_that_nohup_passes_over_ends_nothing(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    with subprocess.Popen(
        ["nohup", sys.executable, "-m", "azr.cli.main", "exec", "--workers=1", "--output", str(target)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        deadline = time.monotonic() + 60
        while not list(tmp_path.iterdir()):
            assert time.monotonic() < deadline, "waited 60 s for its output to be opened"
            time.sleep(0.05)
        process.send_signal(signal.SIGHUP)
        process.stdin.write(json.dumps({"id": 1, "program": ADD, "inputs": ["1, 2"]}).encode())
        process.stdin.close()
        assert process.wait(60) == 0
    assert json.loads(target.read_text())["results"] == [{"status": "ok", "output": "3"}]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_however_it_is_ended_it_leaves_no_process_and_no_half_file(tmp_path: Path, how: signal.Signals) -> None:
    target = tmp_path / "out.jsonl"
    with subprocess.Popen(
        [sys.executable, "-m", "azr.cli.main", "exec", "--backend", "process", "--workers=2", "--output", str(target)],
        stdin=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        line = json.dumps({"program": LOOP, "inputs": ["1"], "timeout_s": 60}).encode() + b"\n"
        os.write(process.stdin.fileno(), line * 4)
        deadline = time.monotonic() + 60
        parent = psutil.Process(process.pid)
        while len(descendants := parent.children(recursive=True)) < 2 * (1 + 2 + 1):
            assert time.monotonic() < deadline, "waited 60 s until two workers, each with two zygotes, ran something"
            time.sleep(0.05)
        process.send_signal(how)
        process.wait(20)
    _, left = psutil.wait_procs(descendants, timeout=10)
    assert left == []
    assert not target.exists()
    if how != signal.SIGKILL:
        assert list(tmp_path.iterdir()) == [], "nothing can be tidied up after SIGKILL alone"
