"""Engine processes forked from a server that has vLLM imported already: seconds instead of half a minute.

vLLM starts its engine process by `spawn`, which imports everything anew: 9 to 18 s of a core, each time. A fork server
is a process without threads, sockets or CUDA that has done the imports once; a new engine, above all one in place of a
dead one, is a fork of it. Engines end with the process that it belongs to (see `forks`), and it ends with them.
"""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing import forkserver
from typing import Any

from actors.engine.leftovers import socket_folder

#: What the fork server imports before it forks anything.
PRELOADED = "actors.engine.preload"
_FIRST = "actors.engine.forks"

#: What every engine imports. vLLM first: it says in the environment how CUDA is to be looked for without a context,
#: which no fork survives.
_ANYWHERE = (
    "vllm",
    "torch",
    "transformers",
    "vllm.v1.engine.core",
    "vllm.v1.executor.uniproc_executor",
    "vllm.v1.executor.multiproc_executor",
    "vllm.v1.worker.gpu_worker",
    "vllm.model_executor.models.registry",
    "vllm.model_executor.models.qwen2",
    "vllm.model_executor.models.qwen3",
    "vllm.model_executor.models.llama",
    "vllm.model_executor.model_loader.reload",
    "vllm.v1.core.sched.scheduler",
    "actors.engine.extension",
)
_ON_CPUS = ("vllm.v1.worker.cpu_worker", "vllm.v1.attention.backends.cpu_attn")
_ON_GPUS = ("vllm.v1.worker.gpu.model_runner", "vllm.v1.attention.backends.flash_attn")


def modules(*, gpu: bool) -> tuple[str, ...]:
    """What an engine on such a device imports, and nothing of the other kind: vLLM's worker for CPUs puts stand-ins
    without clocks in the place of torch's CUDA events as it is imported, and an engine on a GPU that was forked after
    it dies as it compiles."""
    return _ANYWHERE + (_ON_GPUS if gpu else _ON_CPUS)


def warm_up() -> None:
    """Start this process's fork server, which then imports vLLM while this process does the same."""
    start_server([PRELOADED])
    import vllm.v1.engine.async_llm  # noqa: F401


def start_server(preloaded: list[str]) -> None:
    """Start it. Its socket lies where this process's others do: Python would put it into a folder that bears nobody's
    name and stays in /tmp when its owner is ended from outside, as Serve ends every replica."""
    folder = str(socket_folder())
    multiprocessing.current_process()._config["tempdir"] = folder  # type: ignore[attr-defined]
    os.environ["VLLM_RPC_BASE_PATH"] = folder  # vLLM's as well; and the fork server knows by it where to leave notes
    multiprocessing.set_forkserver_preload([_FIRST, *preloaded])
    forkserver.ensure_running()


def use_fork_server() -> None:
    """Have vLLM start its engine processes from the fork server. It knows `fork` and `spawn` only, so it is asked to
    take this process's context for its own."""
    from vllm.v1.engine import utils

    def context() -> Any:
        return multiprocessing.get_context("forkserver")

    utils.get_mp_context = context
