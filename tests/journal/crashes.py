"""A small run on a durable experience that survives any number of power cuts, and the books it must end with.

Everybody but the experience is made of memory that does not crash here: solvers repeat what was not acknowledged, and
the learner trains on a batch once it has it, whether or not its commit comes through at the first try.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import msgspec

from azr.game.batch import BatchPlan, Quota
from azr.game.types import Version
from azr.journal import Journal
from azr.journal.durable import open_experience, shorten
from azr.ledger.events import Group
from azr.ledger.experience import Batch, Experience
from azr.ledger.ledger import Account, Sample
from azr.staleness.admission import Limits
from tests.journal.disks import CrashingDisk
from tests.ledger.play import PROPOSE, SOLVE, propose

LIMITS = Limits(max_staleness=1, propose=1, solve=2, attempts=2, replay_attempts=2, replay_share=1.0)
PLAN = BatchPlan((Quota(PROPOSE, 1), Quota(SOLVE, 1, 2)))
CHECKPOINT, RESUMED = Version(0, 1), Version(1, 1)


@dataclass
class Run:
    """Proposers, solvers and learner with what they remember."""

    steps: int = 2
    compact: bool = True
    mishaps: bool = False
    """Whether proposals are lost and dropped, one comes too late, and the driver dies at the end and resumes."""
    step: int = 0
    lineage: int = 0
    acknowledged: set[str] = field(default_factory=set)
    """Samples that the experience said it has."""
    batches: dict[Version, list[str]] = field(default_factory=dict)
    """What the learner trained on, by step."""
    committed: set[Version] = field(default_factory=set)
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

    @property
    def now(self) -> Version:
        return Version(self.lineage, self.step)

    def play(self) -> None:
        """Go on until all steps are trained; returns when they are, or raises when the power is cut."""
        assert self.experience is not None
        self.train(self.experience)
        if self.mishaps and self.lineage < RESUMED.lineage:
            self.experience.resume(CHECKPOINT, RESUMED.lineage)
            self.lineage, self.step = RESUMED.lineage, RESUMED.step
        self.train(self.experience)

    def train(self, experience: Experience) -> None:
        while self.step < self.steps:
            proposal = f"p{self.lineage}.{self.step}"
            begun = proposal in experience.book.groups or experience.book.ledger.knows(f"{proposal}#0")
            if self.mishaps and not begun:
                self.lose(experience, f"l{self.lineage}.{self.step}")
                self.drop(experience, f"d{self.lineage}.{self.step}")
                self.propose_late(experience, "late")
            self.propose(experience, proposal)
            self.attempt(experience)
            self.learn(experience)

    def lose(self, experience: Experience, name: str) -> None:
        """A proposer falls silent; after a crash there may be no room for it beside what is still to be dropped."""
        if propose(experience, name):
            experience.lost(name)

    def drop(self, experience: Experience, name: str) -> None:
        """A proposal is dropped with the rating it waits for."""
        if not experience.book.ledger.knows(f"{name}#0"):
            assert propose(experience, name)
            experience.judge_many([(self.sample(f"{name}#0", name), "task")])
            self.acknowledged.add(f"{name}#0")
        if name in experience.book.groups:
            experience.drop([name], "unwanted")

    def propose_late(self, experience: Experience, name: str) -> None:
        """A proposal of the first weights comes in when it is too old; attempts that rate it are not."""
        if self.lineage or experience.book.ledger.knows(f"{name}#0"):
            return
        if self.step == 0:
            assert propose(experience, name)
        elif self.step == 2:
            first = msgspec.structs.replace(self.sample(f"{name}#0", name), versions=(Version(0, 0),))
            experience.judge_many([(first, "task")])
            self.acknowledged.add(f"{name}#0")

    def propose(self, experience: Experience, name: str) -> None:
        book = experience.book
        if book.ledger.knows(f"{name}#0") or self.now in self.batches:
            return
        if name not in book.groups:
            assert propose(experience, name)
        experience.judge_many([(self.sample(f"{name}#0", name), "task")])
        self.acknowledged.add(f"{name}#0")

    def attempt(self, experience: Experience) -> None:
        """One attempt at a time, as the last one might be the one that is cut."""
        open_groups = [group for group in experience.book.groups.values() if group.state == "open"]
        for group in open_groups:
            if group.kind == "proposal":
                continue
            experience.renew("solver", [group.id], 0.0)
            for name in group.awaited:
                experience.attempt_many([self.sample(name, group.id, group)])
                self.acknowledged.add(name)

    def sample(self, name: str, group: str, of: Group | None = None) -> Sample:
        cell = SOLVE if of else PROPOSE
        return Sample(id=name, group=group, cell=cell, tokens=7, versions=(self.now,), body=name.encode())

    def learn(self, experience: Experience) -> None:
        consumer = self.now
        if experience.book.next_step == self.step:
            batch = experience.take(consumer, PLAN)
            assert isinstance(batch, Batch), batch
            ids = [item.sample.id for item in batch.items]
            assert [item.sample.body.decode() for item in batch.items] == ids
            assert self.batches.setdefault(consumer, ids) == ids, "another batch for a step already trained"
            experience.commit(consumer)
        self.committed.add(consumer)
        if self.compact and not self.compacted:
            assert self.journal is not None
            shorten(self.journal, experience, above_bytes=0)
            self.compacted = True
        experience.publish(Version(self.lineage, self.step + 1))
        if self.step + 1 == CHECKPOINT.step == experience.book.next_step:
            experience.keep([0, CHECKPOINT.step])
        self.step += 1

    def check(self, experience: Experience) -> None:
        """What must hold after any crash."""
        experience.assert_closed()
        ledger = experience.book.ledger
        lost = [name for name in self.acknowledged if not ledger.knows(name)]
        assert not lost, f"acknowledged and lost: {lost}"
        exists = experience.book.ancestry.holds
        undone = RESUMED.step if experience.book.ancestry.lineage else self.steps
        kept = {at for at in self.batches if exists(at) and (at.lineage or at.step < undone)}
        last = max((at.step for at in self.committed & kept), default=-1)
        assert experience.book.next_step > last, "an acknowledged commit is lost"
        trained = [name for at in kept for name in self.batches[at]]
        assert len(trained) == len(set(trained)), "trained on twice"

    def accounts(self) -> dict[str, Account]:
        assert self.experience is not None
        return {str(cell): account for cell, account in self.experience.book.ledger.accounts.items()}
