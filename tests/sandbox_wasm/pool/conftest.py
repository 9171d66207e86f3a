"""What tests of the pool share: the rehearsal back end, installed, and jobs for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox_wasm.pool import SandboxPool, open_sandbox
from tests.sandbox_wasm.plugin_example import install


@pytest.fixture(scope="session")
def plugin_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder on the module path with the rehearsal distribution installed in it."""
    site = tmp_path_factory.mktemp("site")
    install(site)
    sys.path.append(str(site))
    yield site
    sys.path.remove(str(site))


@pytest.fixture
def pool(plugin_site: Path) -> Iterator[SandboxPool]:
    """Two workers that act out what jobs say, given half a second past a job's limits."""
    with open_sandbox("rehearsal", 2, grace_seconds=0.5) as opened:
        yield opened
