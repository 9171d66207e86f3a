"""A run of `azr train` as somebody who owns the machine sees it: its drivers one after the other, and its folder.

Called by the soak and by `benchmarks.growth`. Drivers are processes of their own, in sessions of their own, so that a
Ctrl-C at the benchmark does not reach them; a `WholeRun` is a block, and nothing of it outlives the block.

    begin ──► driver ──► dead? ──► resume ──► driver ──► … ──► stop: Ctrl-C, exit status
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import msgspec
import psutil

from actors.engine.leftovers import sweep
from actors.weights.folders import remove_versions
from azr.bench.machine import checkout
from azr.decoding import UNDECODABLE
from azr.errors import AzrError
from azr.run.folder import Card, RunFolder
from azr.run.reaper import lives
from benchmarks.processes import Seen, seen

#: From the kill of what is left until it is gone.
GONE_SECONDS = 10.0


class Step(NamedTuple):
    """A learner step as it was told."""

    number: int
    at: float
    """Seconds since 1970."""
    values: dict[str, float]


class Lines:
    """Follows a file of JSON lines as it grows: each question returns what is new."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0

    def new(self) -> list[Step]:
        """Steps that were told since last asked; half a line is left for the next time."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        steps = []
        for line in whole.splitlines():
            with contextlib.suppress(*UNDECODABLE):  # torn by a kill
                told = msgspec.json.decode(line, type=dict[str, float | None])
                values = {name: value for name, value in told.items() if value is not None}
                if "learner/step" in values:
                    steps.append(Step(int(values["step"]), values["at"], values))
        return steps


class WholeRun:
    """One run, in `runs/name`."""

    def __init__(self, runs: Path, name: str, overrides: Sequence[str]) -> None:
        self.runs, self.folder = runs.absolute(), RunFolder(runs / name)
        self.output = self.runs / f"{name}.txt"
        """What all drivers said, and what was done to them."""
        self.drivers: list[subprocess.Popen[bytes]] = []
        self.everybody: dict[tuple[int, float], Seen] = {}
        """All processes that ever were, by id and the moment they began."""
        self._overrides = list(overrides)
        self.runs.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGTERM, _leave)
        return self

    def __exit__(self, *_: object) -> None:
        self.tear_down()
        signal.signal(signal.SIGTERM, self._before)

    @property
    def driver(self) -> subprocess.Popen[bytes]:
        """The newest driver."""
        return self.drivers[-1]

    @property
    def alive(self) -> bool:
        """Whether a driver is at work."""
        return bool(self.drivers) and self.driver.poll() is None

    def card(self) -> Card:
        """What the folder says of the run."""
        return self.folder.card()

    def start(self) -> None:
        """Begin the run, or go on with it by a new driver."""
        place = [f"run.name={self.folder.root.name}", f"run.folder={self.runs}"]
        words = (
            ["--resume", str(self.folder.root)]
            if self.folder.exists
            else ["--config", "tiny", *place, *self._overrides]
        )
        root = checkout()
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "160"}
        if root is not None:
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH", ""))))
        with self.output.open("ab") as said:
            driver = subprocess.Popen(
                [sys.executable, "-m", "azr.cli.main", "--debug", "train", *words],
                cwd=self.runs,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.drivers.append(driver)

    def look(self) -> list[Seen]:
        """Who there is now."""
        now = seen(self.driver.pid) if self.drivers else []
        for one in now:
            with contextlib.suppress(psutil.Error):
                self.everybody.setdefault((one.process.pid, one.process.create_time()), one)
        return now

    def note(self, line: str) -> None:
        """Write among what the drivers say."""
        with self.output.open("a") as said:
            said.write(f"{time.strftime('%H:%M:%S')} == {line}\n")

    def stop(self, seconds: float) -> int:
        """Ctrl-C as a terminal sends it; the exit status."""
        os.killpg(self.driver.pid, signal.SIGINT)
        try:
            return self.driver.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AzrError(f"the driver did not end within {seconds:g} s of Ctrl-C", self._where()) from None

    def left(self, grace: float) -> list[str]:
        """Processes of the run that still live after a grace, by what they call themselves."""
        gone = time.monotonic() + grace
        while (alive := [one for one in self.everybody.values() if lives(one.process)]) and time.monotonic() < gone:
            time.sleep(0.2)
        return [f"{one.process.pid} {one.kind or one.process.name()}" for one in alive]

    def tear_down(self) -> None:
        """Leave no process of it, whatever happened; and where some had to be killed, the reaper among them, nothing of
        theirs in memory."""
        self.look()
        killed = [one.process for one in self.everybody.values() if lives(one.process)]
        for process in killed:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        if self.drivers:
            self.driver.wait()
        if killed:
            psutil.wait_procs(killed, timeout=GONE_SECONDS)
            for driver in self.drivers:
                for versions in Path("/dev/shm").glob(f"azr-azr-{self.folder.root.name}-*-{driver.pid}"):
                    remove_versions(versions)
            sweep([process.pid for process in killed])

    def _where(self) -> str:
        return f"{self.output} has what it said"


def _leave(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)
