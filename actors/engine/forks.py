"""Imported first by the fork server: who is forked from it ends with its owner, from the first moment on.

The fork server itself is no help: Python keeps it alive as long as one of those it forked. And an engine that outlived
its replica while it loads or compiles, before anybody could tell it to watch, would hold a card's memory, and its
successor find none.

    owner (a replica) ──starts──► fork server: opens the owner's pidfd ──forks──► engine: a thread waits for it
"""

from __future__ import annotations

import os

from actors.engine.liveness import end_with

#: In the fork server, and inherited by all that it forks.
_OWNER = os.pidfd_open(os.getppid())

os.register_at_fork(after_in_child=lambda: end_with(_OWNER))
