"""A whole `azr train` in processes of its own, watched from outside through its folder."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil

from actors.engine.leftovers import sweep
from azr.run.tracking.json_lines import read_lines

CHECKOUT = Path(__file__).parents[2]

#: Small enough to be over in seconds once it stands; everything real.
SMALL = (
    "algorithm.batch.propose=2",
    "algorithm.batch.solve=24",
    "seeding.triplets=6",
    "seeding.inductions=6",
    "evaluation.tasks=4",
    "evaluation.samples=1",
    "learner.checkpoint_every=1",
    "rollout.kv_cache_mb=64",
    "actors.restart_seconds=240",
)

#: On a quiet machine a run stands after half a minute; a machine that runs other tests may take minutes.
PATIENCE_SECONDS = 280.0


class WholeRun:
    """One driver of a run in `folder`."""

    def __init__(self, runs: Path, name: str, words: list[str], plugins: str = "") -> None:
        """`plugins` is a folder of metadata of installed packages."""
        self.folder = runs / name
        self.output = runs.parent / f"{name}.txt"
        path = f"{CHECKOUT}:{plugins}" if plugins else str(CHECKOUT)
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
        self._file = self.output.open("a")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "azr.cli.main", "--debug", "train", *words],
            cwd=runs,
            env=environment,
            stdout=self._file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @classmethod
    def begin(cls, runs: Path, name: str, *overrides: str, plugins: str = "") -> WholeRun:
        """A new run."""
        words = ["--config", "tiny", f"run.name={name}", f"run.folder={runs}", *SMALL, *overrides]
        return cls(runs, name, words, plugins)

    @classmethod
    def resume(cls, runs: Path, name: str, *overrides: str) -> WholeRun:
        """The next driver of a run."""
        return cls(runs, name, ["--resume", str(runs / name), *overrides])

    @property
    def said(self) -> str:
        """All that its drivers said."""
        return self.output.read_text()

    def steps(self) -> list[int]:
        """Steps that were told, each once."""
        lines = read_lines(self.folder / "metrics.jsonl")
        return [int(line["step"] or 0) for line in lines if "learner/step" in line]

    def until(self, true: Callable[[], bool], what: str) -> None:
        """Wait; a driver that ends meanwhile, or takes too long, fails the test with what it said."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not true():
            if self.process.poll() is not None:
                raise AssertionError(f"the driver ended before {what}:\n{self.said[-4000:]}")
            if time.monotonic() > deadline:
                raise AssertionError(f"no {what} within {PATIENCE_SECONDS:g} s:\n{self.said[-4000:]}")
            time.sleep(0.1)

    def end(self) -> int:
        """Wait for its end; the exit status."""
        try:
            return self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end within {PATIENCE_SECONDS:g} s:\n{self.said[-4000:]}") from None
        finally:
            self._file.close()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal as a terminal does: to the driver and all of its process group."""
        os.killpg(self.process.pid, number)

    def kill_one(self, name: str) -> psutil.Process:
        """SIGKILL one of its processes, by what Ray calls it; which it was."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        found = [child for child in children if name in " ".join(child.cmdline())]
        assert found, f"no process is called {name}: {[' '.join(child.cmdline())[:60] for child in children]}"
        found[0].kill()
        return found[0]

    def kill(self) -> list[psutil.Process]:
        """SIGKILL the driver alone; returns the processes it leaves."""
        children: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        self.process.wait()
        self._file.close()
        return children

    def tear_down(self) -> None:
        """Leave nothing of it, whatever happened."""
        if self.process.poll() is None:
            children = psutil.Process(self.process.pid).children(recursive=True)
            for child in [*children, self.process]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
            self.process.wait()
            psutil.wait_procs(children, timeout=10)
            sweep([child.pid for child in children])  # its reaper was killed with it
        self._file.close()


def card(folder: Path) -> dict[str, object]:
    """The run's card."""
    read: dict[str, object] = msgspec.json.decode((folder / "run.json").read_bytes())
    return read
