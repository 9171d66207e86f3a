"""One back end for all tests here: starting one imports the standard library anew."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox_wasm.process.backend import ProcessBackend


@pytest.fixture(scope="session")
def backend() -> Iterator[ProcessBackend]:
    made = ProcessBackend()
    yield made
    made.close()
