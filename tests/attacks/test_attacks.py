"""Every attack against every back end: the stated outcome, no effect on planted things, and neighbours unharmed.

One worker a back end, so that each attack meets the process in which all the others ran before it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from sandbox_wasm.pool import open_sandbox
from sandbox_wasm.protocol import Sandbox
from tests.attacks import corpus, world
from tests.attacks.backends import BACKENDS, options
from tests.attacks.corpus import Entry
from tests.attacks.judge import judge

ENTRIES = corpus.load()


@pytest.fixture(scope="module", params=BACKENDS)
def target(request: pytest.FixtureRequest) -> Iterator[tuple[str, Sandbox]]:
    """A back end in a pool of one worker, which holds the planted secret in its environment."""
    os.environ[world.SECRET_VARIABLE] = world.TOKEN
    name, more = options(request.param)
    pool = open_sandbox(name, workers=1, **more)
    try:
        yield request.param, pool
    finally:
        pool.close()


@pytest.mark.attack
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_the_attack_ends_as_stated(entry: Entry, target: tuple[str, Sandbox]) -> None:
    backend, sandbox = target
    with world.planted() as planted:
        finding = judge(entry, sandbox, backend, planted)
    assert finding.stated, f"{finding.wrong} escaped={finding.escaped} ({entry.attack.must})"
