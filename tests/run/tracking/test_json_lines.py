"""The lines in the run's folder: one a step, valid JSON, unharmed by crashes and full disks."""

from __future__ import annotations

import json
import math
import tracemalloc
from pathlib import Path

import pytest

from azr.run.tracking.json_lines import JsonLines, longest_told, read_lines


def test_a_step_is_a_line(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "metrics.jsonl", print)
    lines.metrics(1, {"reward/mean/deduction/solve": 0.25}, 1234.5678)
    lines.metrics(2, {"reward/mean/deduction/solve": 0.5}, 1235.0)
    read = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert read[0] == {"step": 1, "at": 1234.568, "reward/mean/deduction/solve": 0.25}
    assert read == read_lines(tmp_path / "metrics.jsonl")


def test_a_broken_number_is_null_and_not_left_out(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "metrics.jsonl", print)
    lines.metrics(1, {"loss/policy": math.nan, "loss/ratio": math.inf}, 0.0)
    assert read_lines(tmp_path / "metrics.jsonl") == [{"step": 1, "at": 0.0, "loss/policy": None, "loss/ratio": None}]


def test_half_a_line_of_a_crash_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step":1,"at":0}\n{"step":2,"a')
    JsonLines(path, print).metrics(3, {}, 0.0)
    assert [line["step"] for line in read_lines(path)] == [1, 3]


def test_nor_does_a_line_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step":1,"at":0}\n{"step":2,"\xff":1}\n{"step":3,"at":0}\n')
    assert [line["step"] for line in read_lines(path)] == [1, 3]


def test_of_a_step_done_twice_the_last_counts(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "metrics.jsonl", print)
    for value in (0.1, 0.2):
        lines.metrics(5, {"loss/policy": value}, 0.0)
    lines.metrics(4, {"loss/policy": 0.3}, 0.0)
    assert [line["loss/policy"] for line in read_lines(tmp_path / "metrics.jsonl")] == [0.3, 0.2]


def test_what_is_told_of_a_step_later_is_put_to_its_line(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "metrics.jsonl", print)
    lines.metrics(5, {"loss/policy": 0.1}, 1.0)
    lines.metrics(5, {"eval/accuracy/common/deduction/solve/greedy": 0.5}, 2.0)
    [line] = read_lines(tmp_path / "metrics.jsonl")
    assert (line["loss/policy"], line["eval/accuracy/common/deduction/solve/greedy"]) == (0.1, 0.5)


def test_no_file_has_no_lines(tmp_path: Path) -> None:
    assert read_lines(tmp_path / "metrics.jsonl") == []


def test_how_long_a_run_was_trained_is_what_any_of_its_lines_tells_at_most(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert longest_told(path) == 0.0
    path.write_bytes(
        b'{"step":1,"time/elapsed":9}\n{"step":2,"time/elapsed":20.5}\n{"step":2,"eval/tasks":4}\n'
        b'{"step":2,"time/elapsed":null}\n[1]\n\xff\n{"step":1,"time/elapsed":12.0}\n{"step":3,"time/ela'
    )
    assert longest_told(path) == 20.5


def test_for_that_a_long_file_is_read_line_by_line(tmp_path: Path) -> None:
    """Whoever resumes a run of a hundred thousand steps has no room for all that it told."""
    path = tmp_path / "metrics.jsonl"
    rest = ",".join(f'"a/metric/{number}":0.5' for number in range(50))
    path.write_text("".join(f'{{"step":{step},"time/elapsed":{step},{rest}}}\n' for step in range(3000)))
    tracemalloc.start()
    try:
        assert longest_told(path) == 2999.0
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < path.stat().st_size / 10


def test_a_disk_that_takes_nothing_is_said_once_and_ends_nothing(tmp_path: Path) -> None:
    told: list[str] = []
    path = tmp_path / "gone" / "metrics.jsonl"
    lines = JsonLines(path, told.append)
    lines.metrics(1, {}, 0.0)
    lines.metrics(2, {}, 0.0)
    assert len(told) == 1
    assert "cannot be written" in told[0]
    path.parent.mkdir()
    lines.metrics(3, {}, 0.0)
    assert told[1].endswith("is written again; 2 lines are missing")


def test_a_really_full_disk_is_met_as_an_error_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`/dev/full` refuses every byte with the error of a full disk."""
    told: list[str] = []
    lines = JsonLines(Path("/dev/full"), told.append)
    lines.metrics(1, {}, 0.0)
    assert "No space left on device" in told[0]
