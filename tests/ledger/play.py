"""Short ways to play proposers, solvers and the learner against an experience, step by step."""

from __future__ import annotations

from azr.game.batch import BatchPlan, Quota
from azr.game.types import Cell, Version
from azr.ledger.events import Event, Group
from azr.ledger.experience import Batch, Experience, Rated
from azr.ledger.ledger import Sample
from azr.ledger.work import ToAttempt
from azr.staleness.admission import Limits, Refusal

PROPOSE, SOLVE = Cell("deduction", "propose"), Cell("deduction", "solve")
LIMITS = Limits(max_staleness=1, propose=1, solve=4, attempts=2, replay_attempts=2, replay_share=1.0)
PLAN = BatchPlan((Quota(PROPOSE, 1), Quota(SOLVE, 2, 2)))


def next_group(experience: Experience, owner: str, now: float) -> Group | None:
    """The attempts to make next, before any new work: ratings, and what was lost. None where nothing waits."""
    dry = {cell.task for cell in experience.book.admission.wanted()}
    works = experience.next_work(owner, ["what nobody is called"], now, roles=["solve"], dry=dry)
    for work in works:
        assert isinstance(work, ToAttempt)
        return work.group
    return None


def propose(experience: Experience, group: str, now: float = 0.0) -> bool:
    """Whether a proposal is admitted under this name, of the type that is furthest behind."""
    return bool(experience.next_work("proposer", [group], now, roles=["propose"]))


def replay(experience: Experience, group: str, task_type: str, task: str, owner: str, now: float) -> Refusal | None:
    """Attempts at a task from the buffer; None when they may begin."""
    return experience.replay_many([(group, task_type, task)], owner, now)[0]


class Play:
    """An experience and those around it."""

    def __init__(self, limits: Limits = LIMITS, **options: object) -> None:
        self.events: list[Event] = []
        self.experience = Experience(limits, record=self.events.extend, lease_seconds=10.0, **options)  # type: ignore[arg-type]
        self.version = Version(0, 0)

    def sample(self, name: str, cell: Cell = SOLVE, correct: bool = False, *versions: Version) -> Sample:
        made = versions or (self.version,)
        return Sample(id=name, group=name.partition("#")[0], cell=cell, tokens=10, versions=made, correct=correct)

    def propose(self, name: str, valid: bool = True) -> None:
        """A proposal, admitted and judged."""
        assert propose(self.experience, name)
        self.judge(name, valid)

    def judge(self, name: str, valid: bool = True) -> None:
        self.experience.judge_many([(self.sample(f"{name}#0", PROPOSE), f"task of {name}" if valid else None)])

    def replay(self, name: str) -> None:
        """A group of attempts at an old task, admitted."""
        assert replay(self.experience, name, "deduction", f"task of {name}", "solver", 0.0) is None

    def attempt(self, name: str, *correct: bool) -> list[Rated]:
        """Attempts of a group come in, from the first that is awaited."""
        group = self.experience.book.group(name)
        chosen = zip(group.awaited, correct, strict=False)
        return self.experience.attempt_many([self.sample(sample, SOLVE, right) for sample, right in chosen])

    def rate(self, name: str, *correct: bool) -> list[Rated]:
        """The attempts that rate the next proposal in line."""
        group = next_group(self.experience, "solver", 0.0)
        assert group is not None
        assert group.rates == name
        return self.attempt(group.id, *correct)

    def fill(self, name: str) -> None:
        """Everything a batch needs: one rated proposal and one replay."""
        self.propose(f"p{name}")
        self.rate(f"p{name}", True, False)
        self.replay(f"r{name}")
        self.attempt(f"r{name}", True, True)

    def take(self, step: int | None = None) -> Batch:
        consumer = Version(self.version.lineage, self.version.step if step is None else step)
        batch = self.experience.take(consumer, PLAN)
        assert isinstance(batch, Batch), batch
        return batch

    def train(self, *, checkpoint: bool = True) -> None:
        """Commit the step of the batch that was taken, publish its weights, and keep a checkpoint of them."""
        self.experience.commit(self.version)
        self.version = Version(self.version.lineage, self.version.step + 1)
        self.experience.publish(self.version)
        if checkpoint:
            self.experience.keep([*self.experience.book.checkpoints, self.version.step])

    def state(self, name: str) -> str:
        return self.experience.book.group(name).state

    def group(self, name: str) -> Group:
        return self.experience.book.group(name)

    def discarded(self, cell: Cell = SOLVE) -> dict[str, int]:
        self.experience.assert_closed()
        return {reason: count.samples for reason, count in self.experience.book.ledger.accounts[cell].discarded.items()}
