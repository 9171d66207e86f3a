"""The bound and progress, under random schedules of everything that can happen to a run."""

from __future__ import annotations

from collections import Counter

import pytest

from azr.game.types import Cell
from azr.ledger import experience, taking
from azr.staleness.admission import Admission, Refusal
from azr.staleness.bound import Ancestry, StalenessError
from tests.staleness.schedules import Schedule

FAST = 1_000  # in fewer the rarest of what is to be met may not be
SOAK = 100_000


def run_block(first: int, count: int) -> Counter[str]:
    totals: Counter[str] = Counter()
    for seed in range(first, first + count):
        totals += Schedule(seed).run()
    return totals


def test_the_bound_holds_and_the_learner_gets_on_whatever_happens() -> None:
    totals = run_block(0, FAST)
    for met in (
        *("age 0", "age 1", "age 2", "resumes", "slots brought back", "replicas killed", "services restarted"),
        *("wait whole", "carry whole", "carry other", "redistribute whole", "redistribute other"),
    ):
        assert totals[met] > 0, f"the schedules never met: {met}"


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_bound_holds_in_a_hundred_thousand_schedules() -> None:
    totals = run_block(1_000_000, SOAK)
    assert totals["age 4"] > 0
    assert totals["resumes"] > SOAK // 2


def first_failure(limit: int) -> str:
    for seed in range(limit):
        try:
            Schedule(seed).run()
        except (AssertionError, StalenessError) as error:
            return str(error)
    return ""


def test_the_schedules_notice_when_nothing_is_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "sweep_reason", lambda *arguments: None)
    monkeypatch.setattr(experience, "assert_fresh", lambda *arguments: None)
    failure = first_failure(100)
    assert "steps old" in failure or "dead weights" in failure


def test_the_assertion_at_consumption_catches_what_the_sweep_lets_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "sweep_reason", lambda *arguments: None)
    with pytest.raises(StalenessError):
        run_block(0, 100)


def test_the_schedules_notice_when_lost_weights_are_taken_for_kept_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ancestry, "holds", lambda self, version: True)
    assert any(words in first_failure(500) for words in ("dead weights", "has not made yet"))


def test_without_the_overdraft_a_learner_would_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(self: Admission, task_type: str) -> Refusal | None:
        solve = Cell(task_type, "solve")
        if (free := self.free(solve)) < self.limits.rating_slots:
            return Refusal(solve, free)
        return original(self, task_type)

    original = Admission.refuses_proposal
    monkeypatch.setattr(Admission, "refuses_proposal", refuses)
    assert "waits for ever" in first_failure(2_000)
