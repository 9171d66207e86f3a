"""The back ends that attacks are run against, by the names in tests and tables.

`wasm-fresh`: a brand-new instance a program. `wasm-restored`: one that was restored bit by bit. `process`: a forked
child, whose promise is weaker (`docs/security.md`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from sandbox_wasm.pool import SandboxPool, open_sandbox
from tests.attacks.world import SECRET_VARIABLE, TOKEN

BACKENDS = ("wasm-fresh", "wasm-restored", "process")


@contextmanager
def target(name: str) -> Iterator[SandboxPool]:
    """A pool of one worker, so that each attack meets the process in which all others ran before it.

    The worker's environment holds the planted secret.
    """
    os.environ[SECRET_VARIABLE] = TOKEN
    if name == "process":
        pool = open_sandbox("process", workers=1)
    else:
        pool = open_sandbox("wasm", workers=1, instances=name.removeprefix("wasm-"))
    try:
        yield pool
    finally:
        pool.close()
