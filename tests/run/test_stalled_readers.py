"""Whoever looks at a run may stop looking: what is said waits for him, the run does not."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from azr.run import stalled_readers
from azr.run.stalled_readers import StalledReaders

#: More than a pipe takes by itself.
LONG = "x" * 200_000


@pytest.fixture
def pipe() -> Iterator[tuple[int, IO[str]]]:
    """The end that is read, and the one that is written."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        yield reader, stream
        os.close(reader)


def read(reader: int, length: int) -> str:
    """So much of it; a test's own time-out ends a wait in vain."""
    found = b""
    while len(found) < length:
        found += os.read(reader, length - len(found))
    return found.decode()


def test_what_is_written_is_there_once_it_is_flushed(pipe: tuple[int, IO[str]]) -> None:
    reader, stream = pipe
    patient = StalledReaders(stream)
    for number in range(100):
        patient.write(f"line {number}\n")
        patient.flush()
        assert os.read(reader, 100).decode() == f"line {number}\n"


def test_a_reader_that_stalls_is_waited_for_once_and_finds_everything_in_order_when_he_is_back(
    pipe: tuple[int, IO[str]],
) -> None:
    reader, stream = pipe
    patient = StalledReaders(stream, patience_seconds=0.3)
    began = time.monotonic()
    patient.write(LONG)
    patient.flush()
    assert 0.25 < time.monotonic() - began < 5.0
    began = time.monotonic()
    for number in range(50):
        patient.write(f"{number:04d}\n")
        patient.flush()
    assert time.monotonic() - began < 0.25, "not once a line"
    said = read(reader, len(LONG) + 50 * 5)
    assert said == LONG + "".join(f"{number:04d}\n" for number in range(50))
    time.sleep(0.2)
    patient.write("again\n")
    patient.flush()
    assert os.read(reader, 100) == b"again\n", "he is waited for as before"


def test_what_waits_for_a_reader_is_bounded(pipe: tuple[int, IO[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    reader, stream = pipe
    monkeypatch.setattr(stalled_readers, "KEPT", 300_000)
    patient = StalledReaders(stream, patience_seconds=0.05)
    for text in (LONG, "y" * 90_000, "z" * 50_000, "w" * 5_000):
        patient.write(text)
        patient.flush()
    assert read(reader, len(LONG) + 90_000 + 5_000) == LONG + "y" * 90_000 + "w" * 5_000


def test_a_reader_that_is_gone_is_an_error_of_whoever_flushes_next(pipe: tuple[int, IO[str]]) -> None:
    reader, stream = pipe
    patient = StalledReaders(stream)
    nobody = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nobody, reader)
    os.close(nobody)
    patient.write("to nobody")
    with pytest.raises(BrokenPipeError):
        patient.flush()
    patient.flush()


def test_a_stream_in_memory_is_written_as_it_is() -> None:
    patient = StalledReaders(stream := io.StringIO())
    patient.write("words")
    patient.flush()
    assert stream.getvalue() == "words"
    assert not patient.isatty()
    stream.close()
    patient.write("after its end")
    patient.flush()


def test_an_error_of_the_stream_is_heard_once() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "full")

    patient = StalledReaders(Full())
    patient.write("lost")
    with pytest.raises(OSError, match="full"):
        patient.flush()
    patient.flush()


def test_a_descriptor_that_does_not_block_is_waited_for(pipe: tuple[int, IO[str]]) -> None:
    reader, stream = pipe
    os.set_blocking(stream.fileno(), False)
    patient = StalledReaders(stream, patience_seconds=0.05)
    patient.write(LONG)
    patient.flush()
    assert read(reader, len(LONG)) == LONG


#: Says more than anybody reads, then hears a signal in the midst of it, and ends by itself.
_SPEAKS = """
import signal, sys, time
from pathlib import Path
from azr.run.console import Console, Goal
from azr.run.stopping import Stop

console = Console(("deduction",), Goal())
console.keep(Path(sys.argv[1]))
stop = Stop(console.say)
with stop.listening():
    console.begin()
    console.say("word " * 40_000)
    while not stop.check():
        console.step({"learner/step": 1.0})
        console.say("still at work")
        time.sleep(0.01)
console.end()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_whose_reader_stalls_works_on_hears_signals_and_ends(number: signal.Signals, tmp_path: Path) -> None:
    log = tmp_path / "driver.log"
    command = [sys.executable, "-c", _SPEAKS, str(log)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not log.exists() or log.read_text().count("still at work") < 20:
            assert run.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        run.send_signal(number)
        assert run.wait(30) == 0
    finally:
        run.kill()
        _, errors = run.communicate()
    assert errors == b""
    assert "finishing the step, writing a checkpoint" in log.read_text().splitlines()[-1]
