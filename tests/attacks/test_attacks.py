"""Every attack against every back end: the stated outcome, no effect on planted things, and neighbours unharmed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox_wasm.protocol import Sandbox
from tests.attacks import corpus, world
from tests.attacks.backends import BACKENDS, target
from tests.attacks.corpus import Entry
from tests.attacks.judge import judge

ENTRIES = corpus.load()


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[tuple[str, Sandbox]]:
    """One pool a back end for all attacks."""
    with target(request.param) as pool:
        yield request.param, pool


@pytest.mark.attack
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_the_attack_ends_as_stated(entry: Entry, backend: tuple[str, Sandbox]) -> None:
    name, sandbox = backend
    with world.planted() as planted:
        finding = judge(entry, sandbox, name, planted)
    assert finding.stated, f"{finding.wrong} escaped={finding.escaped} ({entry.attack.must})"
