"""What the game's tests share: short ways to ask the gate and the verifier of a real sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from azr.game.gate import GateRules
from azr.game.plan import drive
from azr.game.tasks import task_type
from azr.game.types import Candidate, Refusal, Task, Verdict
from azr.game.verification import VerifyRules
from sandbox_wasm.protocol import FUEL_PER_SECOND, Limits, Sandbox

#: Half a second is ample for what the tests run, and short for what is meant to run for ever.
BRIEF = Limits(fuel=FUEL_PER_SECOND // 2, wall_seconds=3.0)

Gate = Callable[..., Task | Refusal]
Verify = Callable[..., Verdict]


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """The rules are the same on every back end, so they are tested on the one that needs nothing compiled.

    `test_back_ends.py` holds the default one to the same answers.
    """
    from sandbox_wasm.pool import open_sandbox

    pool = open_sandbox("process", workers=1)
    try:
        yield pool
    finally:
        pool.close()


@pytest.fixture
def gate(sandbox: Sandbox) -> Gate:
    """Ask the gate about a program and inputs; keywords are rules."""

    def ask(kind: str, program: str, *inputs: str, message: str = "", **rules: Any) -> Task | Refusal:
        candidate = Candidate(program=program, inputs=inputs, message=message)
        return drive(task_type(kind).gate(candidate, GateRules(**{"limits": BRIEF, **rules})), sandbox)

    return ask


@pytest.fixture
def reason(gate: Gate) -> Callable[..., str]:
    """The reason with which the gate refuses, or `accepted`."""

    def ask(*arguments: Any, **rules: Any) -> str:
        outcome = gate(*arguments, **rules)
        return outcome.reason if isinstance(outcome, Refusal) else "accepted"

    return ask


@pytest.fixture
def verify(sandbox: Sandbox) -> Verify:
    """Judge an answer to a task; keywords are rules."""

    def ask(task: Task, answer: str, **rules: Any) -> Verdict:
        return drive(task_type(task.task_type).verify(task, answer, VerifyRules(**{"limits": BRIEF, **rules})), sandbox)

    return ask


def task(kind: str, program: str, pairs: dict[str, str], **fields: Any) -> Task:
    """A task written down by hand, without keys."""
    return msgspec.structs.replace(
        Task(id="t", task_type=kind, program=program, inputs=tuple(pairs), outputs=tuple(pairs.values())), **fields
    )
