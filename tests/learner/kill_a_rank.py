"""A program of its own: train on two ranks under Ray, and kill one of them on the way.

Apart from the tests' process because Ray puts its own handlers on the signals that WebAssembly traps arrive by.

    python -m tests.learner.kill_a_rank MODEL FOLDER STEPS KILL_AFTER
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import psutil
import ray

from actors.engine.leftovers import sweep
from learner.ray_train import train
from tests.learner.plans import curve, plan

#: The run is given this long to reach the step after which a rank is killed.
PATIENCE_SECONDS = 240


def kill_a_rank_after(folder: Path, step: int) -> None:
    """Wait until the run has done `step` steps, then SIGKILL one of the ranks, and remove what it left."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (folder / "curve.jsonl").exists() or max(curve(folder), default=0) < step:
        if time.monotonic() > deadline:
            print(f"step {step} was not reached within {PATIENCE_SECONDS} s", file=sys.stderr)
            return
        time.sleep(0.02)
    ranks = [
        process
        for process in psutil.Process().children(recursive=True)
        if "RayTrainWorker" in " ".join(process.cmdline())
    ]
    ranks[-1].kill()
    psutil.wait_procs(ranks[-1:], timeout=10)
    sweep([ranks[-1].pid])
    print(f"killed {ranks[-1].pid} of {len(ranks)}", flush=True)


def main(model: Path, folder: Path, steps: int, kill_after: int) -> None:
    """Train to the end, whatever happens to the rank."""
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, object_store_memory=100 << 20)
    try:
        killer = threading.Thread(target=kill_a_rank_after, args=(folder, kill_after))
        killer.start()
        train(plan(model, folder, steps=steps, ranks=2, checkpoint_every=3))
        killer.join()
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
