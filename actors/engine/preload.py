"""Imported by the fork server: what an engine process imports anyway. What is missing here is only slower."""

from __future__ import annotations

import contextlib
import importlib
import threading

from tqdm import tqdm

from actors.engine.fork_server import modules
from azr.doctor.packages import installed_extra

# By what is installed, not by what is seen: vLLM for GPUs has no use for its worker for CPUs on any machine.
for name in modules(gpu=installed_extra() == "gpu"):
    with contextlib.suppress(ImportError, AttributeError, RuntimeError):
        importlib.import_module(name)

# By itself the first bar (shards of a model being loaded) makes a lock for processes: a named semaphore in /dev/shm. An
# engine that is killed leaves it there, and one that was forked a moment before nobody has seen, to sweep after it.
tqdm.set_lock(threading.RLock())
