"""Imported by the fork server: what an engine process imports anyway. What is missing here is only slower."""

from __future__ import annotations

import contextlib
import importlib

from actors.engine.fork_server import modules
from actors.engine.settings import has_gpu

for name in modules(gpu=has_gpu()):
    with contextlib.suppress(ImportError, AttributeError, RuntimeError):
        importlib.import_module(name)
