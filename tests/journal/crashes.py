"""A small run on a durable experience that survives any number of power cuts, and the books it must end with.

Everybody but the experience is made of memory that does not crash here: solvers repeat what was not acknowledged, and
the learner trains on a batch once it has it, whether or not its commit comes through at the first try.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from azr.game.types import Version
from azr.journal import Journal
from azr.journal.durable import open_experience, shorten
from azr.ledger.events import Group
from azr.ledger.experience import Batch, Experience
from azr.ledger.ledger import Account, Sample
from azr.staleness.admission import Limits
from tests.journal.disks import CrashingDisk
from tests.ledger.play import PROPOSE, SOLVE

LIMITS = Limits(max_staleness=1, propose=1, solve=2, attempts=2, replay_attempts=2, replay_share=1.0)
QUOTAS = {PROPOSE: 1, SOLVE: 2}


@dataclass
class Run:
    """Proposers, solvers and learner with what they remember."""

    steps: int = 2
    compact: bool = True
    step: int = 0
    acknowledged: set[str] = field(default_factory=set)
    """Samples that the experience said it has."""
    batches: dict[int, list[str]] = field(default_factory=dict)
    """What the learner trained on, by step."""
    committed: set[int] = field(default_factory=set)
    """Steps whose commit was acknowledged."""
    compacted: bool = False
    journal: Journal | None = None
    experience: Experience | None = None

    def boot(self, disk: CrashingDisk) -> Experience:
        """Start the service on this disk."""
        numbers = itertools.count(1)
        self.journal = Journal(disk, draw_marker=lambda: next(numbers).to_bytes(8, "big"), clock=lambda: 0.0)
        self.experience, _ = open_experience(self.journal, LIMITS, now=0.0)
        return self.experience

    def play(self) -> None:
        """Go on until all steps are trained; returns when they are, or raises when the power is cut."""
        assert self.experience is not None
        while self.step < self.steps:
            self.propose(self.experience, f"p{self.step}")
            self.attempt(self.experience)
            self.learn(self.experience)

    def propose(self, experience: Experience, name: str) -> None:
        book = experience.book
        if book.ledger.knows(f"{name}#0") or self.step in self.batches:
            return
        if name not in book.groups:
            assert experience.propose(name, "deduction", "proposer", 0.0) is None
        experience.judge(self.sample(f"{name}#0", name), "task")
        self.acknowledged.add(f"{name}#0")

    def attempt(self, experience: Experience) -> None:
        """One attempt at a time, as the last one might be the one that is cut."""
        open_groups = [group for group in experience.book.groups.values() if group.state == "open"]
        for group in open_groups:
            experience.renew("solver", [group.id], 0.0)
            for name in group.awaited:
                experience.attempt_many([self.sample(name, group.id, group)])
                self.acknowledged.add(name)

    def sample(self, name: str, group: str, of: Group | None = None) -> Sample:
        cell = SOLVE if of else PROPOSE
        return Sample(id=name, group=group, cell=cell, tokens=7, versions=(Version(0, self.step),), body=name.encode())

    def learn(self, experience: Experience) -> None:
        consumer = Version(0, self.step)
        if experience.book.next_step == self.step:
            batch = experience.take(consumer, QUOTAS)
            assert isinstance(batch, Batch), batch
            ids = [item.sample.id for item in batch.items]
            assert [item.sample.body.decode() for item in batch.items] == ids
            assert self.batches.setdefault(self.step, ids) == ids, "another batch for a step already trained"
            experience.commit(consumer)
        self.committed.add(self.step)
        if self.compact and not self.compacted:
            assert self.journal is not None
            shorten(self.journal, experience, above_bytes=0)
            self.compacted = True
        experience.publish(Version(0, self.step + 1))
        self.step += 1

    def check(self, experience: Experience) -> None:
        """What must hold after any crash."""
        experience.assert_closed()
        ledger = experience.book.ledger
        lost = [name for name in self.acknowledged if not ledger.knows(name)]
        assert not lost, f"acknowledged and lost: {lost}"
        assert experience.book.next_step > max(self.committed, default=-1), "an acknowledged commit is lost"
        trained = list(itertools.chain.from_iterable(self.batches.values()))
        assert len(trained) == len(set(trained)), "trained on twice"

    def accounts(self) -> dict[str, Account]:
        assert self.experience is not None
        return {str(cell): account for cell, account in self.experience.book.ledger.accounts.items()}
