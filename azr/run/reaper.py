"""What a killed driver leaves, taken away: a small process beside it that outlives it by seconds.

A driver that ends in any other way takes everything down itself. After SIGKILL Ray's own watching takes minutes on a
busy machine, and nobody removes its folders. So this process remembers the driver's descendants, hears of its end by
the end of its own standard input, gives everybody a moment to leave by themselves, and ends and removes what is left.

    driver ── standard input held open ──► reaper: every two seconds, who descends from the driver?
       └─ ends well: "done" ──► leaves     └─ end of input without it ──► wait ──► kill those ──► remove folders

Either way the semaphores go that any of those left: a process that is killed does not take them along.
"""

from __future__ import annotations

import contextlib
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from actors.engine.leftovers import sweep
from actors.weights.transports.files import remove_versions

#: Seconds between two looks at who descends from the driver, and for which those may leave by themselves.
LOOK_SECONDS, GRACE_SECONDS = 2.0, 5.0
DONE = b"done\n"
#: Between the two kinds of folders on the reaper's command line.
WEIGHTS = "--weights"


@contextlib.contextmanager
def reaping(driver: int, folders: Sequence[Path], weights: Sequence[Path] = ()) -> Iterator[None]:
    """A reaper for the block; it leaves when the block ends, however it ends.

    `folders` are Ray's and go as a whole; `weights` may lie beside files of the user's and lose only what is ours.
    """
    command = [sys.executable, "-m", "azr.run.reaper", str(driver), *map(str, folders), WEIGHTS, *map(str, weights)]
    reaper = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    assert reaper.stdin is not None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            reaper.stdin.write(DONE)
            reaper.stdin.close()
        reaper.wait()


def descendants(driver: int) -> set[psutil.Process]:
    """Who descends from the driver now, this process apart."""
    try:
        return {child for child in psutil.Process(driver).children(recursive=True) if child.pid != psutil.Process().pid}
    except psutil.NoSuchProcess:
        return set()


def end(processes: set[psutil.Process], grace: float = GRACE_SECONDS) -> list[int]:
    """Let them leave, then kill those that stay (with whom they started since); returns who was killed."""
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline and any(map(_lives, processes)):
        time.sleep(0.1)
    killed = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            for one in [*process.children(recursive=True), process]:
                if _lives(one):
                    one.kill()
                    killed.append(one.pid)
    return killed


def _lives(process: psutil.Process) -> bool:
    """Whether it is still the same process, and no zombie."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def main(driver: int, folders: Sequence[Path], weights: Sequence[Path]) -> None:
    """Watch until the driver is done or gone."""
    known: set[psutil.Process] = set()
    seen: set[int] = set()
    while True:
        known = {process for process in known if _lives(process)} | descendants(driver)
        seen |= {process.pid for process in known}
        ready, _, _ = select.select([sys.stdin.buffer], [], [], LOOK_SECONDS)
        if ready:
            break
    if sys.stdin.buffer.readline() == DONE:
        sweep(seen)
        return
    end(known)
    sweep(seen)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    for folder in weights:
        remove_versions(folder)


if __name__ == "__main__":
    split = sys.argv.index(WEIGHTS)
    main(int(sys.argv[1]), [Path(word) for word in sys.argv[2:split]], [Path(word) for word in sys.argv[split + 1 :]])
