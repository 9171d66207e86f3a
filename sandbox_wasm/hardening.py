"""Locks a worker in before it runs anything hostile: resource limits, no new privileges, no debugger.

The interpreter inside WebAssembly is the wall; this is the ditch behind it. Called by the worker once its back end is
built, and by `azr doctor` for the report.
"""

from __future__ import annotations

import ctypes
import resource

#: A back end that needs no new processes once it is built.
SEALED = "sealed"
#: A back end that starts a process for each program, which locks itself in further.
FORKING = "forking"
#: A back end that looks after itself.
NONE = "none"

PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38


def lock_in(profile: str) -> dict[str, str]:
    """Give up what the back end no longer needs; says for each measure whether it holds."""
    if profile == NONE:
        return {}
    libc = ctypes.CDLL(None, use_errno=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    held = libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    return {"no new privileges": "on" if held else "refused by the kernel"}
