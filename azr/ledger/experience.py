"""The experience: admits work, keeps whole groups, hands out batches within the staleness bound. Pure decisions.

Hosted by the experience service (one a shard), which passes in times and owners. Every method decides, writes its
events through `record` (the journal, when there is one) and only then lets them happen and returns: what a caller sees
acknowledged is safe. If `record` raises, nothing has happened.

      proposer ── next_work ──► judge_many ─┐ valid                       ┌──► take ── commit ── publish ── learner
      solver ──── next_work ◄───────────────┴─ rating ─ attempt_many ─────┤
             └─── replay_many ────────────────────────► attempt_many ─────┘   too old, dead lineage: swept, whole

Who waits: a proposer or solver that is given nothing waits for `publish`, a drop, or a proposal to rate; the learner
that meets a `Shortage` waits for `attempt_many` and `judge_many`. docs/staleness.md proves that they never wait for
each other, and the bound. Each call is one record in the journal, however many groups or samples it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from azr.game.batch import BatchPlan
from azr.game.types import Cell, Role, Version
from azr.ledger import events
from azr.ledger.book import FORGOTTEN, LINEAGE, POISONED, Book
from azr.ledger.events import Event, Group, Rating
from azr.ledger.leases import Leases
from azr.ledger.ledger import BooksBrokenError, LedgerError, Sample
from azr.ledger.taking import Shortage, choose, surplus, swept
from azr.ledger.work import ROLES, ToAttempt, ToPropose, Work, new_work
from azr.staleness.admission import Limits, Refusal
from azr.staleness.bound import assert_fresh
from azr.staleness.lengths import SweptByLength

#: When a lease that ran out could not be taken back because nothing can be recorded, it is tried again after this.
RETRY_SECONDS = 1.0

#: Behind a proposal's name: the name of the group of attempts that rates it.
RATING = "/rating"

#: Holder of work that was open when its service died, until its owner claims it.
UNCLAIMED = ""


class Rated(NamedTuple):
    """A group of attempts is whole: what it says about its task, for the task buffer."""

    task: str
    rating: Rating


class Item(NamedTuple):
    """One sample of a batch."""

    sample: Sample
    group: Group
    oldest: Version
    """The oldest weights that had a part in it or in its reward."""


class Batch(NamedTuple):
    """What a learner step trains on."""

    consumer: Version
    items: list[Item]


class Experience:
    """One shard of the experience."""

    def __init__(
        self,
        limits: Limits,
        *,
        record: Callable[[Sequence[Event]], None] | None = None,
        lease_seconds: float = 600.0,
        max_tries: int = 3,
        swept: SweptByLength | None = None,
    ) -> None:
        self.book = Book(limits)
        self.leases = Leases(lease_seconds)
        self.swept = swept or SweptByLength()
        self._record_events = record
        self._max_tries = max_tries
        self._pending: dict[str, None] = {}
        """Groups whose attempts nobody works on, in the order in which they are given out."""
        self._given_up: set[Cell] = set()
        """Cells that the learner waited for in vain: it does so once, until they bring their quotas again."""

    def rebuild(self, history: Iterable[Event], now: float, grace_seconds: float = 10.0) -> None:
        """Take up where a journal ends. Open groups are given out again unless claimed by `renew` within the grace."""
        for event in history:
            self.book.apply(event)
        self._pending.clear()
        for group in self.book.groups.values():
            if group.state == "open":
                self.leases.grant(group.id, UNCLAIMED, now, grace_seconds)

    def restore(self, history: Iterable[Event], now: float, grace_seconds: float = 10.0) -> None:
        """Take up from a checkpoint's snapshot, in place of all that happened here; the journal holds it already."""
        self.leases = Leases(self.leases.seconds)
        self.rebuild(history, now, grace_seconds)

    def next_work(
        self,
        owner: str,
        names: Sequence[str],
        now: float,
        *,
        roles: Collection[Role] = ROLES,
        dry: Collection[str] = (),
    ) -> list[Work]:
        """What to do next, one piece of work for each of these names of groups, or fewer where no more is admitted.

        Attempts that wait come first (under the names of their own groups), then new work under the names given.
        Attempts and proposals are granted; a replay needs a task first, then `replay_many`. `dry` names task types
        whose buffers have none. Asking again with the same names, because the answer was lost, grants nothing twice.
        """
        again = [group for name in names if (group := self._open_again(name)) is not None]
        fresh = list(dict.fromkeys(name for name in names if name not in self.book.groups))
        waiting = list(islice(self._pending, len(fresh))) if "solve" in roles else []
        new = new_work(self.book.admission, fresh[: len(fresh) - len(waiting)], roles, dry)
        proposals = [work for work in new if isinstance(work, ToPropose)]
        self._record([events.Opened(work.group, "proposal", work.task_type, 1) for work in proposals])
        for group_id in (*(group.id for group in again), *waiting, *(work.group for work in proposals)):
            self._pending.pop(group_id, None)
            self.leases.grant(group_id, owner, now)
        asked = [
            ToPropose(group.id, group.task_type) if group.kind == "proposal" else ToAttempt(group) for group in again
        ]
        return [*asked, *(ToAttempt(self.book.group(group_id)) for group_id in waiting), *new]

    def replay_many(self, replays: Sequence[tuple[str, str, str]], owner: str, now: float) -> list[Refusal | None]:
        """Admit attempts at tasks from the buffer, each a group, a task type and a task; None: they may begin.

        They are admitted in this order, as far as there is room. Those that were admitted before are admitted again:
        whoever asks did not hear the answer.
        """
        trial = self.book.admission.copy()
        opened: dict[str, Event] = {}
        answers: list[Refusal | None] = []
        for group, kind, task in replays:
            refusal = None
            if self._open_again(group) is None and group not in opened:
                refusal = trial.refuses_replay(kind)
                if refusal is None:
                    trial.hold_replay(kind)
                    opened[group] = events.Opened(group, "replay", kind, self.book.limits.replay_attempts, task)
            answers.append(refusal)
        self._record(list(opened.values()))
        for (group, _, _), refusal in zip(replays, answers, strict=True):
            if refusal is None:
                self.leases.grant(group, owner, now)
        return answers

    def judge_many(self, proposals: Iterable[tuple[Sample, str | None]]) -> None:
        """Proposals came in, each with the task it became or None. Valid ones wait for their rating.

        A proposal that dead weights made leaves its group open with nobody at work on it: the group is dropped.
        """
        happened: list[Event] = []
        settled: dict[str, str] = {}
        for sample, task in proposals:
            if not self._is_new(sample, "propose"):
                continue
            happened.append(event := events.Judged(sample, task, sample.group + RATING))
            group = self.book.groups.get(sample.group)
            if group is None or group.state != "open" or group.kind != "proposal" or group.id in settled:
                continue
            settled[group.id] = event.rating_group
            if not all(map(self.book.ancestry.holds, sample.versions)):
                happened.append(events.Dropped(group.id, LINEAGE))
        self._record(happened)
        for group_id, rating_group in settled.items():
            self.leases.release(group_id)
            if rating_group in self.book.groups:
                self._pending[rating_group] = None

    def attempt_many(self, samples: Iterable[Sample]) -> list[Rated]:
        """Attempts came in. Returns what is now known about tasks: one entry for every group that became whole."""
        new = [sample for sample in samples if self._is_new(sample, "solve")]
        groups = {sample.group: self.book.groups.get(sample.group) for sample in new}
        unfinished = [group for group in groups.values() if group is not None and group.missing]
        self._record([events.Attempted(sample) for sample in new])
        rated = []
        for group in unfinished:
            if group.missing == 0:
                self._forget_work(group.id)
                rated.append(_rated(group))
        return rated

    def known(self, group_id: str) -> Rated | None:
        """What a group of attempts says about its task, once it is whole. A rating that is not trained on leaves at
        once; what it said is known as long as its proposal is here."""
        if (group := self.book.groups.get(group_id)) is not None:
            return None if group.missing else _rated(group)
        proposal = self.book.groups.get(group_id.removesuffix(RATING))
        return Rated(proposal.task, proposal.rating) if proposal is not None and proposal.rating is not None else None

    def renew(self, owner: str, groups: Iterable[str], now: float) -> list[str]:
        """A sign of life from whoever works on these groups; returns those that are no longer wanted."""
        gone = []
        for group_id in groups:
            group = self.book.groups.get(group_id)
            if group is None or group.state != "open" or self.leases.holder(group_id) not in (owner, UNCLAIMED, None):
                gone.append(group_id)
                continue
            self._pending.pop(group_id, None)
            self.leases.grant(group_id, owner, now)
        return gone

    def expire(self, now: float) -> list[str]:
        """Take back the work of owners that fell silent; returns the groups."""
        expired = self.leases.expire(now)
        taken_back: list[str] = []
        try:
            for group, owner in expired.items():
                self.lost(group, blame=owner != UNCLAIMED)
                taken_back.append(group)
        finally:
            for group in expired.keys() - set(taken_back):  # it could not be recorded: looked at again in a moment
                self.leases.grant(group, expired[group], now, RETRY_SECONDS)
        return taken_back

    def lost(self, group_id: str, *, blame: bool = True) -> None:
        """Work on a group was lost: it is given out again for what is missing, or dropped after too many tries.

        Without `blame` the group had no part in the loss, and the try does not count.
        """
        group = self.book.groups.get(group_id)
        if group is None or group.state != "open":
            self.leases.release(group_id)
            return
        if group.kind == "proposal":
            self.drop([group_id], "lost")
        elif blame and group.tries + 1 >= self._max_tries:
            self.drop([group_id], POISONED)
        else:
            self._record([events.Retried(group_id)] if blame else [])
            self.leases.release(group_id)
            self._pending[group_id] = None

    def drop(self, groups: Iterable[str], reason: str, wasted: Iterable[tuple[Cell, int, int]] = ()) -> None:
        """Drop groups whole, and with them what makes no sense without them.

        `wasted` is what was generated for them and never became samples: cell, samples, tokens. Counted in the same
        record, so that after a crash both have happened or neither.
        """
        doomed = {other.id: other for group in groups for other in self.book.family(self.book.group(group))}
        if out := [group.id for group in doomed.values() if group.state == "taken"]:
            raise LedgerError(f"groups {', '.join(out)} are out for training and cannot be dropped ({reason})")
        self._record(
            [
                *(events.Wasted(*counts, reason) for counts in wasted),
                *(events.Dropped(group, reason) for group in doomed),
            ]
        )
        for group in doomed:
            self._forget_work(group)

    def wasted(self, cell: Cell, samples: int, tokens: int, reason: str) -> None:
        """Count what was generated but never became samples."""
        self._record([events.Wasted(cell, samples, tokens, reason)])

    def take(self, consumer: Version, plan: BatchPlan, *, patient: bool = True) -> Batch | Shortage:
        """The batch for a learner step: whole groups, those with the oldest weights first, swept of all too old.

        A `patient` learner waits until every cell has its quota. One that waited long enough is not, and lets
        `plan.when_dry` act; the cells it waited for in vain are not waited for again until they were whole again.
        Asking again for the same step gives the same batch, also after a restart, until `resume` takes it back.
        """
        if consumer.lineage != self.book.ancestry.lineage or consumer.step < self.book.next_step:
            raise LedgerError(
                f"a batch is asked for step {consumer.lineage}.{consumer.step}, but the next is "
                f"{self.book.ancestry.lineage}.{self.book.next_step}"
            )
        if consumer.step in self.book.taken:
            return self._batch(consumer)
        self._sweep(consumer)
        self._record([events.Dropped(group.id, "surplus") for group in surplus(self.book, plan, consumer)])
        waited_for = [quota.cell for quota in plan.quotas if quota.cell not in self._given_up] if patient else ()
        chosen = choose(self.book, plan, consumer, waited_for)
        if isinstance(chosen, Shortage):
            return chosen
        versions = [group.versions for group in chosen.groups]
        assert_fresh(versions, consumer, self.book.ancestry, self.book.limits.max_staleness)
        self._record([events.Taken(consumer, [group.id for group in chosen.groups], chosen.owing)])
        self._given_up = set(chosen.lacking)
        batch = self._batch(consumer)
        self.swept.observe((item.sample.tokens for item in batch.items), swept=False)
        return batch

    def commit(self, consumer: Version) -> None:
        """The learner's step is done: its batch is trained on, once and for all unless a resume undoes the step."""
        if consumer.lineage != self.book.ancestry.lineage:
            raise LedgerError(
                f"step {consumer.lineage}.{consumer.step} is committed by a learner of another lineage; "
                f"the present one is {self.book.ancestry.lineage}"
            )
        if consumer.step < self.book.next_step:
            return
        if consumer.step > self.book.next_step or consumer.step not in self.book.taken:
            raise LedgerError(f"step {consumer.step} is committed, but the next is {self.book.next_step}")
        self._record([events.Committed(consumer)])

    def publish(self, version: Version) -> None:
        """New weights generate: the slots that were trained into them come free."""
        if version.step > self.book.next_step:
            raise LedgerError(f"weights {version.step} are published, but the next step is {self.book.next_step}")
        if version > self.book.published:
            self._record([events.Published(version)])

    def resume(self, at: Version, lineage: int) -> None:
        """Continue from the checkpoint of weights `at`: later steps are undone, what dead weights made is discarded.

        From a checkpoint that is not kept, what was trained on since may have no bodies any more: it is discarded too.
        Asking again for the resume that came last changes nothing.
        """
        if self.book.ancestry.lineage == lineage and self.book.ancestry.forks[-1:] == (at,):
            return
        if at.step > self.book.next_step:
            raise LedgerError(
                f"the checkpoint of step {at.step} is ahead of the journal, which ends before step "
                f"{self.book.next_step + 1}: restore the experience that was written with it first"
            )
        if at.step < self.book.checkpoints[0]:
            raise LedgerError(
                f"the checkpoint of step {at.step} is older than that of step {self.book.checkpoints[0]}, the oldest "
                "that these books can go back to: restore the experience that was written with it first"
            )
        path = self.book.ancestry.forked(at, lineage)
        undone, gone = [], []
        for step in [step for step in self.book.committed if step >= at.step]:
            undone += self.book.committed[step]
            gone += [group for group in self.book.committed[step] if not self.book.may_return(group, step)]
        doomed: dict[str, str] = {}
        for group in (everyone := [*self.book.groups.values(), *undone]):
            if not all(map(path.holds, group.versions)):
                doomed |= {other.id: LINEAGE for other in self.book.family(group)}
        for group in everyone:
            if group.state == "open" and group.kind == "proposal":
                doomed.setdefault(group.id, "lost")
        for group in gone:
            doomed.setdefault(group.id, FORGOTTEN)
        self._record([events.Resumed(at, lineage), *(events.Dropped(*fate) for fate in doomed.items())])
        for group_id in doomed:
            self._forget_work(group_id)
        open_groups = [group.id for group in self.book.groups.values() if group.state == "open"]
        for group_id in open_groups:
            self.leases.release(group_id)
        self._pending = dict.fromkeys(open_groups)

    def keep(self, checkpoints: Collection[int]) -> None:
        """From now on a resume begins from one of the checkpoints of these steps: let go of what only others need.

        A checkpoint is named before the step behind it is committed, at the latest; until it stands, beside those that
        do. One that was not named once is let go of for good: named again, it is passed over.
        """
        known, next_step = self.book.checkpoints, self.book.next_step
        kept = [step for step in sorted(set(checkpoints)) if step in known or step == next_step]
        if wrong := [step for step in checkpoints if step > known[-1] and step not in kept]:
            raise LedgerError(
                f"checkpoints of steps {wrong} are to be kept, but the step that comes next is {next_step}, and bodies "
                f"are held for {known} only"
            )
        if not kept:
            raise LedgerError(f"of the checkpoints of steps {known}, none is to be kept")
        if kept != known:
            self._record([events.Kept(kept)])

    def assert_closed(self) -> None:
        """Raise unless ledger, groups and slots agree."""
        self.book.assert_closed()

    def _open_again(self, group_id: str) -> Group | None:
        """The group, when it was admitted before: whoever asks did not hear the answer."""
        group = self.book.groups.get(group_id)
        if group is not None and group.state != "open":
            raise LedgerError(f"group {group_id} is opened again but is {group.state} already")
        return group

    def _is_new(self, sample: Sample, role: Role) -> bool:
        if not sample.versions or sample.cell.role != role:
            raise ValueError(f"sample {sample.id} of {sample.cell} names no weights, or is not one to {role}")
        return not self.book.ledger.knows(sample.id)

    def _sweep(self, consumer: Version) -> None:
        """Drop, whole, every finished group that may not be trained on at this step."""
        doomed = swept(self.book, consumer)
        lengths = [self.book.ledger.sample(sample).tokens for group, _ in doomed for sample in group.samples]
        self._record([events.Dropped(group.id, reason) for group, reason in doomed])
        self.swept.observe(lengths, swept=True)

    def _batch(self, consumer: Version) -> Batch:
        items = []
        for group in map(self.book.group, self.book.taken[consumer.step]):
            for sample in map(self.book.ledger.sample, group.samples):
                oldest = min(group.versions) if group.kind == "proposal" else sample.oldest
                items.append(Item(sample, group, oldest))
        return Batch(consumer, items)

    def _forget_work(self, group: str) -> None:
        self.leases.release(group)
        self._pending.pop(group, None)

    def _record(self, happened: Sequence[Event]) -> None:
        """Journal one decision as a whole, then let it happen."""
        if self._record_events is not None and happened:
            self._record_events(happened)
        try:
            for event in happened:
                self.book.apply(event)
        except Exception as error:
            raise BooksBrokenError(f"recorded, but it could not happen: {error!r}") from error


def _rated(group: Group) -> Rated:
    """What a whole group of attempts says about its task."""
    return Rated(group.task, Rating(group.correct, group.size, min(group.versions)))
