"""`azr exec` over many programs of which one in a hundred loops for ever: all answered, in time, in flat memory."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

#: One program in so many loops for ever.
LOOPS_EVERY = 100
TIMEOUT_SECONDS = 0.5
WORKERS = 2

#: What an ordinary program may take on a machine that is busy with other things; idle it takes half a millisecond.
ORDINARY_SECONDS = 0.02

#: Start of the command and of its workers, likewise.
START_SECONDS = 30.0

#: How much more memory the whole may hold at its largest after the first fifth of its time than it held until then.
GROWTH = 1.15


class Run(NamedTuple):
    """One run of the command."""

    answers: list[dict[str, Any]]
    seconds: float
    memory: list[int]
    """Resident bytes of the command and all its descendants, sampled while it ran."""
    said: str


def lines(count: int) -> Iterator[str]:
    for number in range(count):
        loops = number % LOOPS_EVERY == LOOPS_EVERY // 2
        body = "    while True:\n        x += 1" if loops else f"    return [x * {number}, str(x)]"
        yield json.dumps({"id": number, "program": f"def f(x):\n{body}\n", "inputs": ["2"]}) + "\n"


def run_exec(folder: Path, count: int) -> Run:
    source, target = folder / "in.jsonl", folder / "out.jsonl"
    with source.open("w") as file:
        file.writelines(lines(count))
    memory: list[int] = []
    began = time.monotonic()
    command = [sys.executable, "-m", "azr.cli.main", "exec", str(source), "--output", str(target), "--statistics"]
    options = [f"--workers={WORKERS}", f"--timeout={TIMEOUT_SECONDS}"]
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True) as process:
        watcher = threading.Thread(target=_watch, args=(process.pid, memory))
        watcher.start()
        _, said = process.communicate()
        watcher.join()
        assert process.returncode == 0, said
    seconds = time.monotonic() - began
    with target.open() as file:
        return Run([json.loads(line) for line in file], seconds, memory, said)


def _watch(process: int, memory: list[int]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process)
        while parent.status() != psutil.STATUS_ZOMBIE:
            held = 0
            for one in [parent, *parent.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    held += one.memory_info().rss
            memory.append(held)
            time.sleep(0.1)


def check(run: Run, count: int) -> None:
    assert [answer["id"] for answer in run.answers] == list(range(count))
    for number, answer in enumerate(run.answers):
        (result,) = answer["results"]
        if number % LOOPS_EVERY == LOOPS_EVERY // 2:
            assert result["status"] == "timeout"
        else:
            assert result == {"status": "ok", "output": f"[{2 * number}, '2']"}
    # A loop may meet the wall clock instead of the end of its fuel, and is then asked once more.
    loops = count // LOOPS_EVERY
    implied = (2 * loops * TIMEOUT_SECONDS + count * ORDINARY_SECONDS) / WORKERS
    assert run.seconds < START_SECONDS + implied, run.said


def test_three_hundred_programs_with_three_endless_loops(tmp_path: Path) -> None:
    check(run_exec(tmp_path, 300), 300)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_ten_thousand_programs_with_a_hundred_endless_loops_in_flat_memory(tmp_path: Path) -> None:
    run = run_exec(tmp_path, 10_000)
    check(run, 10_000)
    early = max(run.memory[: len(run.memory) // 5])
    late = max(run.memory[len(run.memory) // 5 : -5])
    print(f"{run.seconds:.0f} s; memory {early >> 20} MiB early, {late >> 20} MiB at most later\n{run.said}")
    assert late < GROWTH * early
