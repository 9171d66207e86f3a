"""Where the machine failed, not the model: `retry` and `crashed` at every step of gate and verifier, driven by hand.

A sandbox that stumbles on demand stands in for a busy machine: one job ends in the given way, all others well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import pytest

from azr.game.gate import GateRules
from azr.game.plan import Plan, Verdict
from azr.game.reasons import STUMBLES, UNDECIDED, VerdictReason
from azr.game.tasks import task_type
from azr.game.types import Candidate, Refusal, Task
from azr.game.verification import VerifyRules, compare
from sandbox_wasm.protocol import (
    Facts,
    InspectJob,
    InspectResult,
    Job,
    JobResult,
    LiteralJob,
    LiteralResult,
    Outcome,
    RunJob,
    RunResult,
    Status,
    Value,
)

FACTS = Facts(1, (), (), ("f",), (), (), "digest", (), 1, 1, 1, 0.0, 0.0)


def value(text: str) -> Value:
    return Value(text, text, text)


def answered(job: Job) -> JobResult:
    """What a sandbox says in whose programs `f` is the identity."""
    if isinstance(job, InspectJob):
        is_program = job.program.startswith("def f")
        return InspectResult(FACTS if is_program else None, reason="" if is_program else "syntax")
    texts = job.inputs if isinstance(job, RunJob) else job.texts
    outcomes = tuple(Outcome("ok", value(text)) for text in texts)
    return RunResult(outcomes) if isinstance(job, RunJob) else LiteralResult(outcomes)


def stumbled(job: Job, status: Status) -> JobResult:
    """The same job where the machine stumbled."""
    if isinstance(job, InspectJob):
        return InspectResult(None, reason=status, detail="stumbled")
    count = len(job.inputs) if isinstance(job, RunJob) else len(job.texts)
    outcomes = (Outcome(status, error="stumbled"),) * count
    return RunResult(outcomes) if isinstance(job, RunJob) else LiteralResult(outcomes)


def carried(plan: Plan[Verdict], stumble_at: int, status: Status) -> tuple[Verdict, int]:
    """The plan's end when its n-th job stumbles, and how many jobs it asked for."""
    asked = 0

    def results(jobs: tuple[Job, ...]) -> Iterator[JobResult]:
        nonlocal asked
        for job in jobs:
            yield stumbled(job, status) if asked == stumble_at else answered(job)
            asked += 1

    try:
        jobs = next(plan)
        while True:
            jobs = plan.send(tuple(results(jobs)))
    except StopIteration as stop:
        return stop.value, asked


CANDIDATES = {
    "deduction": Candidate(program="def f(a): return a", inputs=("1",)),
    "abduction": Candidate(program="def f(a): return a", inputs=("1",)),
    "error": Candidate(program="def f(a): return a", inputs=("1",)),
    "induction": Candidate(program="def f(a): return a", inputs=("1", "2"), message="the same"),
}
RULES = GateRules(induction_inputs=2, induction_shown=1)


@pytest.mark.parametrize("status", ["retry", "crashed"])
@pytest.mark.parametrize("name", CANDIDATES)
def test_the_gate_says_which_it_was_at_whatever_step_the_machine_stumbles(name: str, status: Status) -> None:
    kind = task_type(name)
    accepted, jobs = carried(kind.gate(CANDIDATES[name], RULES), -1, status)
    assert isinstance(accepted, Task)
    assert jobs >= 4
    for step in range(jobs):
        refused, _ = carried(kind.gate(CANDIDATES[name], RULES), step, status)
        assert refused == Refusal(status, "stumbled"), step


ATTEMPTS = {
    "deduction": (Task(id="t", task_type="", program="def f", inputs=("1",), outputs=("1",)), "1"),
    "abduction": (Task(id="t", task_type="", program="def f", inputs=("1",), outputs=("1",)), "1"),
    "induction": (Task(id="t", task_type="", program="", inputs=("1", "2"), outputs=("1", "2")), "def f(a): return a"),
}


@pytest.mark.parametrize("status", ["retry", "crashed"])
@pytest.mark.parametrize("name", ATTEMPTS)
def test_the_verifier_never_calls_an_answer_wrong_because_the_machine_stumbled(name: str, status: Status) -> None:
    kind = task_type(name)
    verdict, jobs = carried(kind.verify(*ATTEMPTS[name], VerifyRules()), -1, status)
    assert verdict.correct
    assert jobs >= 2
    for step in range(jobs):
        verdict, _ = carried(kind.verify(*ATTEMPTS[name], VerifyRules()), step, status)
        assert (verdict.correct, verdict.well_formed, verdict.reason) == (False, True, status), step


@pytest.mark.parametrize("reason", sorted(STUMBLES))
def test_what_is_our_failure_decides_nothing_beside_a_run_that_went_well(reason: str) -> None:
    fine, failed = Outcome("ok", value("1")), Outcome(reason, error="stumbled")  # type: ignore[arg-type]
    assert compare([failed, fine], ["1", "1"], VerifyRules()).reason == reason
    assert compare([fine, failed], ["1", "1"], VerifyRules()).reason == reason
    # What surely fails, fails whatever became of the rest.
    assert compare([failed, fine], ["1", "2"], VerifyRules()).reason == "wrong"
    late = Outcome("timeout")
    assert compare([failed, late], ["1", "1"], VerifyRules()).reason == "timeout"


@pytest.mark.parametrize("status", get_args(Status))
def test_every_ending_of_a_run_without_a_value_has_a_verdict(status: Status) -> None:
    verdict = compare([Outcome(status)], ["1"], VerifyRules())
    assert not verdict.correct
    assert verdict.reason in get_args(VerdictReason)
    assert (verdict.reason in UNDECIDED) == (status in STUMBLES or status == "ok")


def test_values_that_come_back_as_others_are_refused() -> None:
    for name in ("deduction", "induction"):
        plan = task_type(name).gate(CANDIDATES[name], RULES)
        jobs = next(plan)
        with pytest.raises(StopIteration) as stop:
            while True:
                forged = isinstance(jobs[0], LiteralJob)
                jobs = plan.send(
                    tuple(
                        LiteralResult((Outcome("ok", value("7")),) * len(job.texts))
                        if forged and isinstance(job, LiteralJob)
                        else answered(job)
                        for job in jobs
                    )
                )
        assert stop.value.value == Refusal("round_trip", "1 is read as 7")


def test_a_task_without_pairs_makes_no_answer_right() -> None:
    assert compare([], [], VerifyRules()).reason == "unreadable_expected"
