"""Imported first by the fork server: whoever is forked from it ends with its owner, from the first moment on, and notes
for it what it dies of.

The fork server itself is no help: Python keeps it alive as long as one of those it forked. And an engine that outlived
its replica while it loads or compiles, before anybody could tell it to watch, would hold a card's memory, and its
successor find none.

    owner (a replica) ──starts──► fork server: opens the owner's pidfd ──forks──► engine: a thread waits for it
"""

from __future__ import annotations

import os
from pathlib import Path

from actors.engine.causes import note_causes
from actors.engine.liveness import die_with_parent, end_with

#: In the fork server, and inherited by all that it forks.
_OWNER = os.pidfd_open(os.getppid())

#: Where vLLM's sockets lie, which is its owner's folder (see `fork_server`).
_FOLDER = Path(os.environ["VLLM_RPC_BASE_PATH"])


def _forked() -> None:
    end_with(_OWNER)
    die_with_parent()  # a worker ends with its engine, also before the engine can tell it to
    note_causes(_FOLDER)


os.register_at_fork(after_in_child=_forked)
