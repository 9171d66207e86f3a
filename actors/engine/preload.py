"""Imported by the fork server: what an engine process imports anyway. What is missing here is only slower."""

from __future__ import annotations

import contextlib
import importlib
import os
import threading
from uuid import uuid4

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


def _meeting_file() -> str:
    """Where the workers of an engine find each other. vLLM's own place is /tmp, under a name that nobody knows, where
    it stays when the engine is ended from outside."""
    return f"file://{os.environ['VLLM_RPC_BASE_PATH']}/meeting-{uuid4().hex}"


for executor in ("uniproc_executor", "multiproc_executor"):
    with contextlib.suppress(ImportError):
        importlib.import_module(f"vllm.v1.executor.{executor}").get_file_store_init_method = _meeting_file  # type: ignore[attr-defined]
