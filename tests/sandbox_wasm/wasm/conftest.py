"""Back ends shared by the tests here: loading a guest takes a while, running one a millisecond."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sandbox_wasm.protocol import Limits, Outcome, RunJob
from sandbox_wasm.wasm.backend import WasmBackend

#: Enough for every honest program here, and soon gone in an endless loop.
LIMITS = Limits(fuel=300_000_000, wall_seconds=60.0)

Run = Callable[..., Outcome]


@pytest.fixture(scope="session")
def fresh() -> Iterator[WasmBackend]:
    backend = WasmBackend(instances="fresh")
    yield backend
    backend.close()


@pytest.fixture(scope="session")
def restored() -> Iterator[WasmBackend]:
    backend = WasmBackend(instances="restored", canary_every=25)
    if backend.instances != "restored":
        pytest.skip("restoring needs PAGEMAP_SCAN (Linux 6.7)")
    yield backend
    backend.close()


@pytest.fixture(params=["fresh", "restored"])
def backend(request: pytest.FixtureRequest) -> WasmBackend:
    """Each kind of instances in turn."""
    found: WasmBackend = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def run(backend: WasmBackend) -> Run:
    """Run one program on one input and answer its outcome."""

    def one(program: str, argument: str = "1", limits: Limits = LIMITS, **inputs: object) -> Outcome:
        job = RunJob(program=program, inputs=(argument,), limits=limits, **inputs)  # type: ignore[arg-type]
        result = backend.run(job)
        return result.outcomes[0]  # type: ignore[union-attr]

    return one


def literal(outcome: Outcome) -> str:
    """The value's text of a run that went well."""
    assert outcome.status == "ok", outcome
    assert outcome.value is not None
    return outcome.value.literal
