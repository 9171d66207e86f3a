"""A cluster for the tests of a module that submit jobs, all from one wheel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.head import Head, install_wheel


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, installed into a folder of its own."""
    return install_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def head(site: Path) -> Iterator[Head]:
    """A node that takes jobs; gone before the next module brings up nodes of its own."""
    node = Head(site)
    try:
        node.wait()
        yield node
    finally:
        node.close()
