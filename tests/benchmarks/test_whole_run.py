"""A run seen from outside: what its metrics file tells as it grows, and that nothing of it is left at the end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from azr.errors import AzrError
from benchmarks.whole_run import Lines, WholeRun


class TestLines:
    def test_each_question_returns_what_is_new(self, tmp_path: Path) -> None:
        path = tmp_path / "metrics.jsonl"
        lines = Lines(path)
        assert lines.new() == [], "there is no file yet"
        path.write_text('{"step": 1, "at": 5.0, "learner/step": 1, "time/step": 0.5}\n')
        (step,) = lines.new()
        assert (step.number, step.at, step.values["time/step"]) == (1, 5.0, 0.5)
        assert lines.new() == []

    def test_half_a_line_waits_for_its_other_half(self, tmp_path: Path) -> None:
        path = tmp_path / "metrics.jsonl"
        lines = Lines(path)
        path.write_text('{"step": 1, "at": 5.0, "lear')
        assert lines.new() == []
        with path.open("a") as file:
            file.write('ner/step": 1}\n')
        assert [step.number for step in lines.new()] == [1]

    def test_what_a_kill_tore_and_what_is_no_step_is_passed_over(self, tmp_path: Path) -> None:
        path = tmp_path / "metrics.jsonl"
        path.write_text(
            '{"step": 1, "at"\n{"step": 0, "at": 1.0, "eval/tasks": 5}\n{"step": 2, "at": 2.0, "learner/step": 2}\n'
        )
        assert [step.number for step in Lines(path).new()] == [2]

    def test_numbers_that_were_not_finite_are_left_out(self, tmp_path: Path) -> None:
        path = tmp_path / "metrics.jsonl"
        path.write_text('{"step": 1, "at": 5.0, "learner/step": 1, "loss/policy": null}\n')
        assert "loss/policy" not in Lines(path).new()[0].values


class Told(WholeRun):
    """A run whose "driver" is a program of the test's own."""

    def start_program(self, program: str) -> None:
        self.drivers.append(
            subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True)
        )
        stdout = self.driver.stdout
        assert stdout is not None
        stdout.readline()
        self.look()


FAMILY = """
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
signal.signal(signal.SIGINT, {handler})
print(1, flush=True)
time.sleep(60)
"""


def test_whoever_outlives_the_driver_is_told_and_torn_down(tmp_path: Path) -> None:
    with Told(tmp_path, "run", ()) as run:
        assert not run.alive
        run.start_program(FAMILY.format(handler="lambda *_: sys.exit(3)"))
        assert run.alive
        assert run.stop(30.0) == 3
        assert len(run.everybody) == 2
        (left,) = run.left(grace=0.0)
        assert "python" in left
    assert run.left(grace=5.0) == []


def test_a_benchmark_that_is_told_to_end_takes_its_run_along(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit), Told(tmp_path, "run", ()) as run:
        run.start_program(FAMILY.format(handler="signal.SIG_IGN"))
        signal.raise_signal(signal.SIGTERM)
    assert not run.alive
    assert run.left(grace=5.0) == []
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_driver_that_does_not_heed_ctrl_c_is_an_error_that_says_where_to_look(tmp_path: Path) -> None:
    with Told(tmp_path, "run", ()) as run:
        run.start_program(FAMILY.format(handler="signal.SIG_IGN"))
        with pytest.raises(AzrError, match=r"did not end within 0\.2 s of Ctrl-C"):
            run.stop(0.2)
    assert not run.alive
    assert run.left(grace=5.0) == []


def test_who_had_to_be_killed_leaves_nothing_in_memory_and_costs_no_other_run_its_own(tmp_path: Path) -> None:
    name = f"run{os.getpid()}"
    others = [Path("/dev/shm") / f"azr-azr-{each}" for each in (f"{name}-abcdef-1", f"{name}-2-abcdef-{os.getpid()}")]
    try:
        for folder in others:
            folder.mkdir()
            (folder / "0.1.safetensors").write_bytes(b"")
        with Told(tmp_path, name, ()) as run:
            run.start_program(FAMILY.format(handler="signal.SIG_IGN"))
            own = Path("/dev/shm") / f"azr-azr-{name}-abcdef-{run.driver.pid}"
            own.mkdir()
            (own / "0.1.safetensors").write_bytes(b"")
        assert not own.exists()
        assert all((folder / "0.1.safetensors").exists() for folder in others)
    finally:
        for folder in others:
            shutil.rmtree(folder, ignore_errors=True)


def test_notes_stand_among_what_drivers_say(tmp_path: Path) -> None:
    run = WholeRun(tmp_path, "run", ())
    run.note("kill 1: engine")
    assert run.output.read_text().endswith(" == kill 1: engine\n")
