"""The pool for a long time: many thousand jobs, workers shot all the while, memory flat, nothing lost."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from pathlib import Path

import psutil
import pytest

from sandbox_wasm.pool import open_sandbox
from tests.sandbox_wasm.pool.jobs import run, said

JOBS = 100_000


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_hundred_thousand_jobs_while_workers_are_shot(plugin_site: Path) -> None:
    draw = random.Random(11)
    own = psutil.Process()
    memory: list[int] = []
    with open_sandbox("rehearsal", 2) as pool:
        stop = threading.Event()
        killed = 0

        def shoot() -> None:
            nonlocal killed
            while not stop.wait(draw.uniform(0.2, 1.0)):
                for worker in pool.worker_ids()[:1]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(worker, signal.SIGKILL)
                        killed += 1

        shooter = threading.Thread(target=shoot)
        shooter.start()
        crashed = 0
        try:
            for number, result in enumerate(pool.run_many(run("say", str(k)) for k in range(JOBS))):
                answer = said(result)
                crashed += answer == ["crashed"]
                assert answer in ([str(number)], ["crashed"])
                assert pool._places.taken <= pool.queue_jobs
                if number % 1000 == 0:
                    memory.append(own.memory_info().rss)
        finally:
            stop.set()
            shooter.join()
        assert pool.statistics().jobs == JOBS
        assert pool.statistics().workers_replaced >= killed - 1
    assert crashed <= 2, "a job hit twice in a row is crashed; that is rare"
    assert max(memory[20:]) < 1.05 * max(memory[:20])
