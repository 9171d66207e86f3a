"""The state of the experience, as a function of the events so far: groups, batches, slots, ledger, lineage.

Owned by `azr.ledger.experience`, which decides; rebuilt by the journal, which replays. `apply` decides nothing and
never refuses: an event that does not fit is a defect and raises `LedgerError`. Whatever might not fit is refused before
it is journaled, for a journal with such an event could never be opened again.

      admitted ──► open ──────────────► ready ──► taken ──► committed ──► (published: slots free) ──► forgotten
                    │ valid proposal      ▲         │            └─ bodies: see azr.ledger.bodies
                    └──► judged ──────────┘         └─ resume: ready again
                          its rating complete
      dropped from any state but taken: all samples of the group discarded for one reason
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from azr.game.types import Cell, Version
from azr.ledger import events
from azr.ledger.bodies import may_return
from azr.ledger.events import Event, Group, Rating
from azr.ledger.ledger import Ledger, LedgerError, Sample
from azr.staleness.admission import Admission, Limits
from azr.staleness.bound import Ancestry

#: Reason of what was made by weights that no longer exist.
LINEAGE = "lineage"
#: Reason of what a resume brings back without bodies, for it begins from a checkpoint that nobody said was kept.
FORGOTTEN = "forgotten"
#: Reason of groups whose work failed for everybody who tried.
POISONED = "poisoned"
#: Reason of samples that were made a second time: the first of them counts.
AGAIN = "made_again"
#: Reason of samples whose group was gone when they came in.
ORPHAN = "orphan"
#: Reason of rating attempts when ratings are not trained on.
ESTIMATE = "estimate"


class Book:
    """Everything one shard of the experience knows."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.ledger = Ledger()
        self.admission = Admission(limits)
        self.groups: dict[str, Group] = {}
        self.taken: dict[int, list[str]] = {}
        """Batches out for training, by step."""
        self.committed: dict[int, list[Group]] = {}
        """Batches trained on that a resume may still undo, by step."""
        self.owing: dict[int, dict[str, int]] = {}
        """Groups that cells owed after a step's batch, by step and cell; a step that is not named changed nothing."""
        self.published = Version(0, 0)
        self.next_step = 0
        """The step that is committed next."""
        self.ancestry = Ancestry()
        self.checkpoints = [0]
        """Steps of the checkpoints that a resume may begin from, in order; that of step 0 is the base weights."""
        self._unpublished: list[int] = []
        """Steps committed whose weights are not published: their slots are still held."""
        self._sequence = 0

    def apply(self, event: Event) -> None:
        """Let one event happen."""
        match event:
            case events.Opened():
                self._opened(event)
            case events.Judged():
                self._judged(event)
            case events.Attempted(sample):
                self._attempted(sample)
            case events.Retried(group):
                self.group(group).tries += 1
            case events.Dropped(group, reason):
                self._dropped(self.group(group), reason)
            case events.Wasted(cell, samples, tokens, reason):
                self.ledger.wasted(cell, samples, tokens, reason)
            case events.Taken():
                self._taken(event)
            case events.Committed(consumer):
                self._committed(consumer)
            case events.Published(version):
                self._published(version)
            case events.Resumed():
                self._resumed(event)
            case events.Kept(checkpoints):
                self._kept(checkpoints)
            case events.Snapshot() | events.Bodies():
                self._restore(event)

    def group(self, group_id: str) -> Group:
        """A group that is open, judged, ready or taken."""
        try:
            return self.groups[group_id]
        except KeyError:
            raise LedgerError(f"there is no group {group_id}") from None

    def family(self, group: Group) -> list[Group]:
        """The group and those that fall with it: a proposal and its unfinished rating have no meaning alone."""
        if group.kind == "rating":
            proposal = self.groups.get(group.rates)
            return [group, proposal] if group.state == "open" and proposal else [group]
        if group.state == "judged":
            return [group, *(other for other in self.groups.values() if other.rates == group.id)]
        return [group]

    @property
    def opened(self) -> int:
        """Groups ever opened: a number that only grows, and outlasts everything."""
        return self._sequence

    def carried(self, consumer: Version) -> dict[Cell, int]:
        """Groups that cells owe to the batch of this step besides their quotas."""
        before = max((step for step in self.owing if step < consumer.step), default=None)
        return {} if before is None else {Cell.of(cell): count for cell, count in self.owing[before].items()}

    def snapshot(self) -> events.Snapshot:
        """Everything, in one event, to be written at once: the book goes on in the same objects."""
        return events.Snapshot(
            schema=events.SCHEMA,
            ledger=self.ledger.state(),
            groups=list(self.groups.values()),
            taken=self.taken,
            committed=self.committed,
            owing=self.owing,
            unpublished=self._unpublished,
            published=self.published,
            next_step=self.next_step,
            ancestry=self.ancestry,
            sequence=self._sequence,
            checkpoints=self.checkpoints,
        )

    def assert_closed(self) -> None:
        """Raise unless the ledger closes, its samples are those of the groups, the slots held are theirs, and no more
        bodies are held than docs/staleness.md allows."""
        self.ledger.assert_closed()
        grouped = Counter(sample for group in self.groups.values() for sample in group.samples)
        held = sum(count.samples for count in self.ledger.in_flight().values())
        if held != len(grouped) or any(count > 1 for count in grouped.values()):
            raise LedgerError(f"{held} samples are in flight but groups hold {len(grouped)}")
        for sample in grouped:
            self.ledger.sample(sample)
        self.admission.assert_same(self._count_slots())
        self._assert_bodies()

    def may_return(self, group: Group, trained: int) -> bool:
        """Whether a resume may hand out again a group that this step trained on: then its bodies are held."""
        return may_return(group.versions, trained, self.checkpoints)

    def _opened(self, event: events.Opened) -> None:
        if event.group in self.groups:
            raise LedgerError(f"group {event.group} is opened twice")
        if event.kind == "proposal":
            self.admission.hold_proposal(event.task_type)
        elif event.kind == "replay":
            self.admission.hold(Cell(event.task_type, "solve"), event.size, replay=True)
        self._add(Group(id=event.group, kind=event.kind, task_type=event.task_type, size=event.size, task=event.task))

    def _add(self, group: Group) -> None:
        group.sequence = self._sequence
        self._sequence += 1
        self.groups[group.id] = group

    def _judged(self, event: events.Judged) -> None:
        group = self._enter(event.sample)
        if group is None:
            return
        if event.task is None:
            group.state = "ready"
            self.admission.release(Cell(group.task_type, "solve"), self.limits.rating_slots)
            return
        group.state, group.task = "judged", event.task
        self._add(
            Group(
                id=event.rating_group,
                kind="rating",
                task_type=group.task_type,
                size=self.limits.attempts,
                task=event.task,
                rates=group.id,
            )
        )

    def _attempted(self, sample: Sample) -> None:
        group = self._enter(sample)
        if group is None:
            return
        group.correct += sample.correct
        if group.missing:
            return
        group.state = "ready"
        if group.kind == "rating":
            self._rated(group)

    def _enter(self, sample: Sample) -> Group | None:
        """Put a new sample into its group; None when it was known, or made by dead weights, or its group is gone.

        What dead weights made is counted but not entered, since another attempt is still to come under that id.
        """
        if not all(map(self.ancestry.holds, sample.versions)):
            self.ledger.undone(sample, LINEAGE)
            return None
        if not self.ledger.generated_many([sample]):
            return None
        group = self.groups.get(sample.group)
        if group is None or group.missing == 0 or group.cell != sample.cell:
            self.ledger.discarded_many([sample.id], ORPHAN)
            return None
        group.samples.append(sample.id)
        _add_versions(group, sample.versions)
        return group

    def _rated(self, rating: Group) -> None:
        proposal = self.group(rating.rates)
        proposal.rating = Rating(rating.correct, rating.size, min(rating.versions))
        _add_versions(proposal, rating.versions)
        proposal.state = "ready"
        if not self.limits.rating_trained:
            self._dropped(rating, ESTIMATE)

    def _dropped(self, group: Group, reason: str) -> None:
        if group.state == "taken":
            raise LedgerError(f"group {group.id} is out for training and cannot be dropped ({reason})")
        self.ledger.discarded_many(group.samples, reason)
        for cell, slots, replay in self._slots(group):
            self.admission.release(cell, slots, replay=replay)
        del self.groups[group.id]

    def _taken(self, event: events.Taken) -> None:
        step = event.consumer.step
        self.taken[step] = event.groups
        if event.owing or self.owing:
            self.owing[step] = event.owing
        for group in map(self.group, event.groups):
            group.state = "taken"
            for cell, slots, replay in self._slots(group):
                self.admission.train(cell, slots, replay=replay)

    def _committed(self, consumer: Version) -> None:
        step = consumer.step
        groups = [self.groups.pop(group) for group in self.taken.pop(step)]
        self.ledger.trained_many([sample for group in groups for sample in group.samples], step)
        self.committed[step] = groups
        self._strip(step)
        self._unpublished.append(step)
        self.next_step = step + 1

    def _published(self, version: Version) -> None:
        self.published = version
        for step in [step for step in self._unpublished if step < version.step]:
            self._unpublished.remove(step)
            self.admission.publish(self._batch_slots(self.committed[step]))

    def _resumed(self, event: events.Resumed) -> None:
        """Batches out for training come back; so does what was trained on after the checkpoint."""
        for step in list(self.taken):
            for group in map(self.group, self.taken.pop(step)):
                group.state = "ready"
                for cell, slots, replay in self._slots(group):
                    self.admission.untrain(cell, slots, replay=replay)
        self._published(Version(self.published.lineage, event.at.step))
        for step in [step for step in self.committed if step >= event.at.step]:
            held = step in self._unpublished
            for group in self.committed.pop(step):
                group.state = "ready"
                self.groups[group.id] = group
                for cell, slots, replay in self._slots(group):
                    (self.admission.untrain if held else self.admission.hold)(cell, slots, replay=replay)
        self._unpublished.clear()
        self.owing = {step: owing for step, owing in self.owing.items() if step < event.at.step}
        self.ledger.untrain(event.at.step)
        self.ancestry = self.ancestry.forked(event.at, event.lineage)
        self.published = Version(event.lineage, event.at.step)
        self.next_step = event.at.step
        self.checkpoints = [*(step for step in self.checkpoints if step < event.at.step), event.at.step]

    def _kept(self, checkpoints: list[int]) -> None:
        """No resume goes back behind the oldest of them, nor to a step between them."""
        lost = [step for step in self.checkpoints if step not in checkpoints]
        self.checkpoints, step = checkpoints, checkpoints[0]
        for trained in [trained for trained in self.committed if trained < step and trained not in self._unpublished]:
            del self.committed[trained]
        last = max((taken for taken in self.owing if taken < step), default=step)
        self.owing = {taken: owing for taken, owing in self.owing.items() if taken >= last}
        self.ledger.forget(trained_before=step, made_before=step - self.limits.max_staleness)
        for trained in self.committed:  # only so many steps behind a checkpoint are held for it: the bound on age
            if any(step <= trained <= step + self.limits.max_staleness for step in lost):
                self._strip(trained)

    def _gone(self, step: int) -> list[Group]:
        """What a step trained on and no resume hands out again; nothing of steps that the ledger forgot."""
        groups = self.committed[step] if step >= self.checkpoints[0] else []
        return [group for group in groups if not self.may_return(group, step)]

    def _strip(self, step: int) -> None:
        """Let go of bodies of a step that no resume asks for."""
        self.ledger.strip(sample for group in self._gone(step) for sample in group.samples)

    def _assert_bodies(self) -> None:
        """Raise unless only what may return has bodies, and no more of it than each checkpoint has steps behind it
        that trained on what its weights, or older ones, made."""
        returning = 0
        for step, groups in self.committed.items():
            gone = self._gone(step)
            if self.ledger.has_bodies(sample for group in gone for sample in group.samples):
                raise LedgerError(f"bodies of step {step} are held that no resume asks for")
            returning += step >= self.checkpoints[0] and len(gone) < len(groups)
        if returning > len(self.checkpoints) * (self.limits.max_staleness + 1):
            raise LedgerError(f"bodies of {returning} steps are held for the checkpoints {self.checkpoints}")

    def _restore(self, snapshot: events.Snapshot | events.Bodies) -> None:
        if isinstance(snapshot, events.Bodies):
            self.ledger.embody(snapshot.bodies)
            return
        check_schema(snapshot)
        snapshot = msgspec.msgpack.decode(msgspec.msgpack.encode(snapshot), type=events.Snapshot)
        self.ledger = Ledger.from_state(snapshot.ledger)
        self.groups = {group.id: group for group in snapshot.groups}
        self.taken, self.committed = snapshot.taken, snapshot.committed
        self.owing, self._unpublished = snapshot.owing, snapshot.unpublished
        self.published, self.next_step = snapshot.published, snapshot.next_step
        self.ancestry, self._sequence = snapshot.ancestry, snapshot.sequence
        self.checkpoints = snapshot.checkpoints
        self.admission = self._count_slots()

    def _slots(self, group: Group) -> list[tuple[Cell, int, bool]]:
        """The slots a group holds: cell, how many, whether as replay."""
        if group.kind == "rating":
            return [(group.cell, self.limits.rating_slots, False)]
        own = (group.cell, group.size, group.kind == "replay")
        if group.kind == "proposal" and group.state == "open":
            return [own, (Cell(group.task_type, "solve"), self.limits.rating_slots, False)]
        return [own]

    def _batch_slots(self, groups: Iterable[Group]) -> Counter[Cell]:
        slots: Counter[Cell] = Counter()
        for group in groups:
            for cell, count, _ in self._slots(group):
                slots[cell] += count
        return slots

    def _count_slots(self) -> Admission:
        """The slots that the groups hold, counted afresh."""
        admission = Admission(self.limits)
        for group in self.groups.values():
            for cell, slots, replay in self._slots(group):
                admission.hold(cell, slots, replay=replay)
                if group.state == "taken":
                    admission.train(cell, slots, replay=replay)
        for step in self._unpublished:
            for group in self.committed[step]:
                for cell, slots, replay in self._slots(group):
                    admission.hold(cell, slots, replay=replay)
                    admission.train(cell, slots, replay=replay)
        return admission


def check_schema(snapshot: events.Snapshot) -> None:
    """Refuse a snapshot that another version of the books wrote."""
    if snapshot.schema != events.SCHEMA:
        raise LedgerError(f"a snapshot of schema {snapshot.schema} cannot be read by schema {events.SCHEMA}")


def _add_versions(group: Group, versions: Iterable[Version]) -> None:
    group.versions += [version for version in versions if version not in group.versions]
