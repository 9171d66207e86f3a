"""Engine processes forked from a server that has vLLM imported already: seconds instead of half a minute.

vLLM starts its engine process by `spawn`, which imports everything anew: 9 to 18 s of a core, each time. A fork server
is a process without threads, sockets or CUDA that has done the imports once; a new engine, above all one in place of a
dead one, is a fork of it. It ends with the process that it belongs to, and so do the engines (see `liveness`).
"""

from __future__ import annotations

import multiprocessing
from multiprocessing import forkserver
from typing import Any

from actors.engine.leftovers import socket_folder

#: What the fork server imports before it forks anything.
PRELOADED = "actors.engine.preload"


def warm_up() -> None:
    """Start this process's fork server, which then imports vLLM while this process does the same."""
    start_server([PRELOADED])
    import vllm.v1.engine.async_llm  # noqa: F401


def start_server(preloaded: list[str]) -> None:
    """Start it. Its socket lies where this process's others do: Python would put it into a folder that bears nobody's
    name and stays in /tmp when its owner is ended from outside, as Serve ends every replica."""
    multiprocessing.current_process()._config["tempdir"] = str(socket_folder())  # type: ignore[attr-defined]
    multiprocessing.set_forkserver_preload(preloaded)
    forkserver.ensure_running()


def use_fork_server() -> None:
    """Have vLLM start its engine processes from the fork server. It knows `fork` and `spawn` only, so it is asked to
    take this process's context for its own."""
    from vllm.v1.engine import utils

    def context() -> Any:
        return multiprocessing.get_context("forkserver")

    utils.get_mp_context = context
