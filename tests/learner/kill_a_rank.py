"""A program of its own: train on two ranks under Ray, and kill one of them on the way, once or several times.

Apart from the tests' process because Ray puts its own handlers on the signals that WebAssembly traps arrive by.

    python -m tests.learner.kill_a_rank MODEL FOLDER STEPS KILL_AFTER…
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import ray

from actors.engine.leftovers import sweep
from azr.run.local_ray import on_this_machine
from learner.ray_train import train
from tests.learner.plans import plan

RANKS = 2
#: The run is given this long to reach the step after which a rank is killed.
PATIENCE_SECONDS = 240


def kill_ranks_after(folder: Path, steps: Sequence[int]) -> None:
    """Kill one of the ranks after each of these steps: the last and the first in turns."""
    for number, step in enumerate(sorted(steps)):
        kill_a_rank_after(folder, step, -1 if number % 2 == 0 else 0)


def kill_a_rank_after(folder: Path, step: int, which: int) -> None:
    """Wait until living ranks have done `step` steps, then SIGKILL one of them, and remove what it left."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(ranks := _ranks()) < RANKS or not _done(folder, step, ranks):
        if time.monotonic() > deadline:
            print(f"step {step} was not reached within {PATIENCE_SECONDS} s", file=sys.stderr)
            return
        time.sleep(0.02)
    ranks[which].kill()
    psutil.wait_procs([ranks[which]], timeout=10)
    sweep([ranks[which].pid])
    print(f"killed {ranks[which].pid} of {len(ranks)}", flush=True)


def _ranks() -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "RayTrainWorker" in " ".join(process.cmdline()):
                found.append(process)
    return found


def _done(folder: Path, step: int, ranks: Sequence[psutil.Process]) -> bool:
    """Whether the newest line of the curve is of this step or a later one, and by a rank that lives."""
    path = folder / "curve.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    newest = json.loads(lines[-1]) if lines else {"step": 0, "pid": 0}
    return newest["step"] >= step and newest["pid"] in [rank.pid for rank in ranks]


def main(model: Path, folder: Path, steps: int, kill_after: Sequence[int]) -> None:
    """Train to the end, whatever happens to the ranks."""
    asked = plan(model, folder, steps=steps, ranks=RANKS, checkpoint_every=3)
    asked = replace(asked, learner=replace(asked.learner, restarts=len(kill_after)))
    ray.init(
        num_cpus=3,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=100 << 20,
        runtime_env=on_this_machine({}),
    )
    try:
        killer = threading.Thread(target=kill_ranks_after, args=(folder, kill_after))
        killer.start()
        train(asked)
        killer.join()
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), [int(word) for word in sys.argv[4:]])
