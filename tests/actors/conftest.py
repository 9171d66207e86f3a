"""One small Ray for all tests of a module, and the sandbox's signals left alone."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from azr.run.local_ray import on_this_machine
from tests.actors.signals import trap_handlers_kept


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[None]:
    """A Ray of this module's own."""
    import ray

    # Paths of sockets may have 107 characters: the folder that pytest would give is too long.
    folder = Path(tempfile.mkdtemp(prefix=f"azr-ray-{os.getpid()}-", dir="/tmp"))
    with trap_handlers_kept():
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=100 << 20,
            _temp_dir=str(folder),
            runtime_env=on_this_machine({}),
        )
    try:
        yield None
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
