"""Hostile text is read in a forked child, never in the process that runs the tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox_wasm.process.backend import ProcessBackend


@pytest.fixture(scope="session")
def backend() -> Iterator[ProcessBackend]:
    made = ProcessBackend()
    yield made
    made.close()
