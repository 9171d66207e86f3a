"""Imported by the fork server: what an engine process imports anyway. What is missing here is only slower.

Who is forked from it ends with it, from its first moment on: an engine that outlived its replica while it loaded or
compiled would hold a card's memory, and its successor find none.
"""

from __future__ import annotations

import contextlib
import importlib
import os

from actors.engine.fork_server import modules
from actors.engine.liveness import die_with_parent
from azr.doctor.packages import installed_extra

os.register_at_fork(after_in_child=die_with_parent)

# By what is installed, not by what is seen: vLLM for GPUs has no use for its worker for CPUs on any machine.
for name in modules(gpu=installed_extra() == "gpu"):
    with contextlib.suppress(ImportError, AttributeError, RuntimeError):
        importlib.import_module(name)
