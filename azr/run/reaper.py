"""What a killed driver leaves, taken away: a small process beside it that outlives it by seconds.

A driver that ends in any other way takes everything down itself. After SIGKILL Ray's own watching takes minutes on a
busy machine, and nobody removes its folders. So this process remembers the driver's descendants, hears of its end by
the end of its own standard input, gives everybody a moment to leave by themselves, and ends and removes what is left.
Should it be killed itself, the driver starts another.

    driver ── standard input held open ──► reaper: every two seconds, who descends from the driver?
       └─ ends well: "done" ──► weights,   └─ end of input without it ──► wait ──► kill those ──► remove folders,
                                sockets                                          weights, sockets, semaphores
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from actors.engine.leftovers import sweep
from actors.weights.folders import remove_versions

#: Until somebody who was killed lives no more.
GONE_SECONDS = 5.0
#: From the end of a reaper that was killed to the start of the next.
AGAIN_SECONDS = 1.0
#: Among the first words of a command line is the program: its path, or Python, a switch and a script.
PROGRAM_WORDS = 3
#: What a driver may say at its end: it has taken everything down itself, or nobody could be told anything any more.
DONE, END_ALL = b"done\n", b"end all\n"
#: What the reaper says for a driver that could not: who is killed, for want of memory say, or ended by its Ray's death,
#: leaves a terminal without a word. How to go on is what the driver was begun for.
LAST_WORDS = (
    "azr: error: the driver is gone: it was killed, or its Ray died. What it left is being ended and removed.\n"
    "  mend: {mend}"
)
#: How a short job goes on.
AGAIN = "give the command again"
#: The variable in which Ray's workers find the process that started them.
RAYLET = "RAY_RAYLET_PID"
#: Between the two kinds of folders on the reaper's command line.
WEIGHTS = "--weights"


class Pace(NamedTuple):
    """How long a reaper takes over things, in seconds."""

    look: float = 2.0
    """Between two looks at who descends from the driver."""
    grace: float = 5.0
    """For which those may leave by themselves."""


USUAL = Pace()


@contextlib.contextmanager
def reaping(
    driver: int, folders: Sequence[Path], weights: Sequence[Path] = (), mend: str = AGAIN, pace: Pace = USUAL
) -> Iterator[Reaper]:
    """A reaper for the block; it leaves when the block ends, however it ends.

    `folders` are Ray's and go as a whole; `weights` may lie beside files of the user's and lose only what is ours.
    `mend` says what to do about a driver that is gone.
    """
    command = [sys.executable, "-m", "azr.run.reaper", str(driver), mend, *map(str, pace)]
    command += [*map(str, folders), WEIGHTS, *map(str, weights)]
    reaper = Reaper(command)
    try:
        yield reaper
    finally:
        reaper.end(DONE)


class Reaper:
    """One reaper at a time, until the end: a thread waits for it, and starts the next when it is killed."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._reaper = self._start()
        self._thread = threading.Thread(target=self._watch, name="azr-reaper", daemon=True)
        self._thread.start()

    def end_all(self) -> None:
        """Have it do now what it would do if the driver was killed, the driver itself apart; comes back when it has."""
        self.end(END_ALL)

    def end(self, last_word: bytes) -> None:
        """Say it, and wait for the reaper to leave."""
        with self._lock:
            self._over.set()
            reaper = self._reaper
        assert reaper.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # it is dead, or has been told
            reaper.stdin.write(last_word)
            reaper.stdin.close()
        reaper.wait()
        self._thread.join()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True)

    def _watch(self) -> None:
        while True:
            self._reaper.wait()
            # One that cannot live at all (no memory, say) is not tried again and again at once.
            if self._over.wait(AGAIN_SECONDS):
                return
            with self._lock, contextlib.suppress(OSError):
                if not self._over.is_set():
                    self._reaper = self._start()


def descendants(driver: int) -> set[psutil.Process]:
    """Who descends from the driver now, this process apart."""
    try:
        return {child for child in psutil.Process(driver).children(recursive=True) if child.pid != os.getpid()}
    except psutil.NoSuchProcess:
        return set()


def rays_in(folders: Sequence[Path]) -> set[psutil.Process]:
    """Ray's programs that were started with one of these folders among their arguments: also those that a driver
    started in the moment before it was killed, which nobody has seen descend from it."""
    found = set()
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        ray = any("/ray/" in word for word in words[:PROGRAM_WORDS])
        if ray and any(str(folder) in word for word in words for folder in folders):
            found.add(process)
    return found


def lived_in_ray(process: psutil.Process) -> bool:
    """Whether a raylet started it, or one whom a raylet started: they have its id among their variables. The reaper's
    own raylet, if the driver lives in a job of another Ray, does not count."""
    try:
        raylet = process.environ().get(RAYLET)
    except psutil.Error:
        return False
    return raylet is not None and raylet != os.environ.get(RAYLET)


def end(processes: set[psutil.Process], grace: float) -> list[int]:
    """Let them leave, then kill those that stay (with whom they started since), and see them gone; returns who was
    killed."""
    _wait_for(processes, grace)
    killed: set[psutil.Process] = set()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            for one in [*process.children(recursive=True), process]:
                if lives(one):
                    one.kill()
                    killed.add(one)
    _wait_for(killed, GONE_SECONDS)
    return [process.pid for process in killed]


def _wait_for(processes: set[psutil.Process], seconds: float) -> None:
    """Until none of these lives, or the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(map(lives, processes)):
        time.sleep(0.1)


def lives(process: psutil.Process) -> bool:
    """Whether it is still the same process, and no zombie."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def main(driver: int, mend: str, pace: Pace, folders: Sequence[Path], weights: Sequence[Path]) -> None:
    """Watch until the driver is done or gone."""
    known: set[psutil.Process] = set()
    while True:
        # At once and not at the end: a reaper that is killed takes along what it knows of the dead.
        sweep(dead := {process.pid for process in known if not lives(process)})
        known = {process for process in known if process.pid not in dead} | descendants(driver)
        ready, _, _ = select.select([sys.stdin.buffer], [], [], pace.look)
        if ready:
            break
    word = sys.stdin.buffer.readline()
    if word == DONE:
        # Ray is gone, and who lived in it is gone in a moment; replicas that end so clean up nothing, and a registry
        # that was just being restarted makes its folder again. Whoever still descends from the driver is its own
        # business. A worker that stays hangs in its own end: one of Ray Train's was seen to, for the better part of
        # an hour, on a busy machine.
        left = (known | rays_in(folders)) - descendants(driver)
        _wait_for(left, pace.grace)
        ended = end({process for process in left if lived_in_ray(process)}, grace=0.0)
        for folder in weights:
            remove_versions(folder)
        sweep({*ended, *(process.pid for process in known)})
        return
    if word != END_ALL:
        with contextlib.suppress(OSError):  # nobody may be there to read it
            print(LAST_WORDS.format(mend=mend), file=sys.stderr, flush=True)
    ended = end(known | rays_in(folders), pace.grace)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    for folder in weights:
        remove_versions(folder)
    sweep({*ended, *(process.pid for process in known)})


if __name__ == "__main__":
    split = sys.argv.index(WEIGHTS)
    main(
        int(sys.argv[1]),
        sys.argv[2],
        Pace(float(sys.argv[3]), float(sys.argv[4])),
        [Path(word) for word in sys.argv[5:split]],
        [Path(word) for word in sys.argv[split + 1 :]],
    )
