"""Every attack against every back end: the stated outcome, no effect on planted things, and neighbours unharmed.

The back ends work side by side, each through its attacks one after the other in one worker, so that every attack meets
the process in which the ones before it ran; each test then looks at its own finding.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from sandbox_wasm.protocol import Sandbox
from tests.attacks import corpus, world
from tests.attacks.backends import BACKENDS, target
from tests.attacks.corpus import Entry
from tests.attacks.judge import Finding, judge

ENTRIES = corpus.load()

#: How long a test may wait for its finding, with all those before it in the queue. A minute is usual for all of them.
PATIENCE_SECONDS = 280.0

Findings = dict[tuple[str, str], Future[Finding]]


@pytest.fixture(scope="module")
def findings(request: pytest.FixtureRequest) -> Iterator[Findings]:
    """What each attack of this test run comes to, or will."""
    asked = [chosen for item in request.session.items if (chosen := _chosen(item))]
    found: Findings = {}
    with ExitStack() as stack:
        for name in dict.fromkeys(backend for backend, _ in asked):
            pool = stack.enter_context(target(name))
            line = ThreadPoolExecutor(1)
            stack.callback(line.shutdown, cancel_futures=True)
            for backend, entry in asked:
                if backend == name:
                    found[name, entry.id] = line.submit(_attack, entry, pool, name)
        yield found


@pytest.mark.attack
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_attack_ends_as_stated(backend: str, entry: Entry, findings: Findings) -> None:
    finding = findings[backend, entry.id].result(PATIENCE_SECONDS)
    assert finding.stated, f"{finding.wrong} escaped={finding.escaped} ({entry.attack.must})"


def _attack(entry: Entry, sandbox: Sandbox, backend: str) -> Finding:
    with world.planted() as planted:
        return judge(entry, sandbox, backend, planted)


def _chosen(item: pytest.Item) -> tuple[str, Entry] | None:
    parameters = getattr(item, "callspec", None)
    if parameters is None or not {"backend", "entry"} <= set(parameters.params):
        return None
    backend, entry = parameters.params["backend"], parameters.params["entry"]
    return (backend, entry) if isinstance(entry, Entry) else None
