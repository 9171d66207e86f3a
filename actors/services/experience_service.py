"""A shard of the experience service: hosts `azr.ledger.experience`, and keeps whoever waits for it waiting politely.

One Ray actor a shard, restarted by Ray; called by the clients in this package. It decides nothing itself: every call is
one call of the experience, made in the thread that owns it and answered when the journal is safe. What it adds is time
(leases that run out, questions that wait) and the way bodies leave: what the books say of a batch travels, its bodies
stay in the object store behind one reference.

      players ── next_work (waits for work) · judge · attempt ──► ┌────────────┐
      players ── renew, hello ───────────────────────────────────► │ Experience │ ── journal
      learner ── take (waits for a batch) · commit · publish ────► └────────────┘

Who waits: a player in `next_work` for work, a learner in `take` for a batch, both for as long as they said at most.
Each looks again after what may have brought it something, and is left alone by the rest.
Every call may be asked again after a restart: groups and samples go by their ids, steps by their numbers.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from actors.services.host import Host, Place
from actors.services.records import Books, Lack, Part, Position, Surplus
from azr.config.sections.algorithm import AlgorithmConfig
from azr.game.batch import BatchPlan
from azr.game.types import Cell, Role, Version
from azr.journal.durable import open_experience, restore, shorten
from azr.journal.journal import JournalError, Recovery
from azr.ledger.book import AGAIN
from azr.ledger.experience import UNCLAIMED, Batch, Experience, Rated
from azr.ledger.ledger import Sample
from azr.ledger.snapshots import to_records
from azr.ledger.taking import Shortage
from azr.ledger.work import ToPropose, Work
from azr.staleness.admission import Limits, Refusal
from azr.staleness.bound import Ancestry
from azr.staleness.lengths import SweptByLength

#: What is waited for. More work may be admitted when slots come free, move to training or are held (replay has what
#: proposals leave), and when attempts are to be made. A batch may be whole when groups are ready, or are gone on which
#: it waited.
WORK, BATCH = "work", "batch"


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What one shard of the experience is decided by."""

    shard: int
    algorithm: AlgorithmConfig
    """With this shard's part of the quotas."""
    limits: Limits
    silence_seconds: float
    grace_seconds: float
    max_tries: int
    sweep_window: int


class ExperienceShard:
    """The actor."""

    def __init__(self, place: Place, rules: Rules) -> None:
        self.rules = rules
        self.host = Host(place)
        self.plan = BatchPlan.of(rules.algorithm)
        self._asked = (Version(-1, -1), 0.0)
        """The step whose batch was asked for last, and since when."""
        self.experience, recovery = self.host.read(self._open)
        if recovery.torn_bytes:
            self.host.logger.warning("cut off %d bytes that were never acknowledged", recovery.torn_bytes)
        self.host.logger.info("%d records read back", recovery.records)
        self.experience.assert_closed()
        self.host.open(self._tick)

    def _open(self) -> tuple[Experience, Recovery]:
        rules = self.rules
        return open_experience(
            self.host.journal,
            rules.limits,
            now=time.monotonic(),
            lease_seconds=rules.silence_seconds,
            grace_seconds=rules.grace_seconds,
            max_tries=rules.max_tries,
            swept=SweptByLength(rules.sweep_window),
        )

    async def ready(self) -> Position:
        """Where it stands; answers once the journal is read."""
        return await self.host.act(self._position)

    # ── players ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def hello(self, name: str) -> int:
        """A player of this name begins: what earlier lives of it (`name@life`) held is given out again.

        Returns how many groups were ever opened here. Their sum over the shards names a life: it follows from the
        journal, so that a run with the same history draws the same seeds, and it grows with every name that is used.
        """

        def act() -> int:
            leases = self.experience.leases
            held = {group: leases.holder(group) or "" for group in self.experience.book.groups}
            for group in [group for group, holder in held.items() if holder.startswith(f"{name}@")]:
                with contextlib.suppress(JournalError):  # the disk is full: its lease runs out, and the player plays
                    self.experience.lost(group)
                    self.host.news(WORK, BATCH)
            return self.experience.book.opened

        return await self.host.act(act)

    async def next_work(
        self, owner: str, names: Sequence[str], roles: Collection[Role], dry: Collection[str], wait_seconds: float
    ) -> list[Work]:
        """Work for an owner, one piece a name at most; empty when there was none for so long.

        New work that an owner was given and did not hear of is given to it again, for it asks with the same names; a
        rating that it did not hear of comes back when its lease runs out.
        """

        def act() -> list[Work]:
            found = self.experience.next_work(owner, names, time.monotonic(), roles=roles, dry=dry)
            if any(isinstance(work, ToPropose) for work in found):
                self.host.news(WORK)
            return found

        return await self.host.until(WORK, act, bool, wait_seconds)

    async def replay_many(self, asked: Sequence[tuple[str, str, str]], owner: str) -> list[Refusal | None]:
        """Open groups of attempts at old tasks: (group, task type, address of the task) each."""
        return await self.host.act(lambda: self.experience.replay_many(asked, owner, time.monotonic()))

    async def judge_many(self, proposals: Sequence[tuple[Sample, str | None]]) -> None:
        """Proposals came in, each with the address of the task it became."""
        await self._change(lambda: self.experience.judge_many(proposals), WORK, BATCH)

    async def attempt_many(
        self, groups: Sequence[tuple[Sequence[Sample], Surplus | None]], owner: str, again: bool
    ) -> list[list[Rated]]:
        """Attempts came in, by group, with what was generated beyond; what is now known about each group's task:
        nothing, or its rating. Asked `again`, after an answer that was lost, a rating that is known is told again; else
        samples that are known already were made twice, and count as that."""

        def act() -> list[list[Rated]]:
            return [self._attempted(samples, surplus, owner, again) for samples, surplus in groups]

        return await self.host.act(act)

    async def renew(self, owner: str, groups: Sequence[str]) -> list[str]:
        """A sign of life from an owner, with all that it works on; returns what is no longer wanted."""
        return await self.host.act(lambda: self.experience.renew(owner, groups, time.monotonic()))

    async def lost(self, name: str, owner: str, tries: int, blame: bool) -> None:
        """Work on a group failed: given out again, or dropped after too many tries.

        Only its holder can say so, and only of the try that he was given: told again, it changes nothing.
        """

        def act() -> None:
            group = self.experience.book.groups.get(name)
            if group is None or group.tries != tries or self.experience.leases.holder(name) not in (owner, UNCLAIMED):
                return
            self.experience.lost(name, blame=blame)

        await self._change(act, WORK, BATCH)

    async def drop(
        self, group: str, owner: str, reason: str, wasted: Sequence[tuple[Cell, int, int]], again: bool
    ) -> None:
        """Drop a group whole, and count what was generated for it and never became samples: (cell, samples, tokens).

        Only its holder can say so. Of one that was silent for so long that the group is another's by now, or done, what
        was generated is counted and nothing else; asked `again`, after an answer that was lost, not even that, for it
        may be counted already.
        """

        def act() -> None:
            held = self.experience.book.groups.get(group)
            is_open = held is not None and held.state == "open"
            if is_open and self.experience.leases.holder(group) in (owner, UNCLAIMED):
                self.experience.drop([group], reason, wasted)
            elif not again:
                for counts in wasted:
                    self.experience.wasted(*counts, reason)

        await self._change(act, WORK, BATCH)

    # ── the learner and the run ─────────────────────────────────────────────────────────────────────────────────────

    async def take(self, consumer: Version, wait_seconds: float) -> Part | Lack:
        """This shard's part of the batch for a learner step, or what is lacking after so long.

        Whole quotas are waited for as long as `algorithm.batch.patience_seconds` since the step was first asked for;
        a caller that asks anew in between does not begin anew.
        """
        if self._asked[0] != consumer:
            self._asked = (consumer, time.monotonic())
        patient_until = self._asked[1] + self.rules.algorithm.batch.patience_seconds

        def act() -> Batch | Shortage:
            return self._take(consumer, patient=time.monotonic() < patient_until)

        def enough(found: Batch | Shortage) -> bool:
            return isinstance(found, Batch)

        deadline = time.monotonic() + wait_seconds
        taken = await self.host.until(BATCH, act, enough, min(wait_seconds, max(0.0, patient_until - time.monotonic())))
        if not enough(taken):
            taken = await self.host.until(BATCH, act, enough, max(0.0, deadline - time.monotonic()))
        if isinstance(taken, Shortage):
            lacking = taken.lacking
            return await self.host.act(lambda: self._lack(lacking))
        bodies = [item.sample.body for item in taken.items]
        bare = [item._replace(sample=msgspec.structs.replace(item.sample, body=b"")) for item in taken.items]
        return Part(consumer, bare, [await asyncio.to_thread(_kept, bodies)])

    async def commit(self, consumer: Version) -> None:
        """The learner's step is done: what no resume asks for any more need not be in the journal, if it has grown."""

        def act() -> None:
            self.experience.commit(consumer)
            self.host.shorten(lambda: shorten(self.host.journal, self.experience, self.host.place.shorten_bytes))

        await self.host.act(act)

    async def publish(self, version: Version) -> None:
        """New weights generate."""
        await self._change(lambda: self.experience.publish(version), WORK)

    async def resume(self, at: Version, lineage: int) -> None:
        """Continue from the checkpoint of weights `at`.

        The checkpoint may be one step ahead of the books, when the learner died between writing it and saying that the
        step was done. Then the step was done: the batch that is out for it is committed first.
        """

        def act() -> None:
            book = self.experience.book
            if at.step == book.next_step + 1 and book.next_step in book.taken and book.ancestry.holds(at):
                self.experience.commit(Version(book.ancestry.lineage, book.next_step))
            self.experience.resume(at, lineage)

        await self._change(act, WORK, BATCH)

    async def keep(self, checkpoints: Sequence[int]) -> None:
        """A resume begins from one of the checkpoints of these steps: what only others need goes."""
        await self.host.act(lambda: self.experience.keep(checkpoints))

    async def ancestry(self) -> Ancestry:
        """The path of weights that led to the present ones."""
        return await self.host.act(lambda: self.experience.book.ancestry)

    async def snapshot(self) -> list[bytes]:
        """Everything, for a checkpoint, in records."""
        return await self.host.act(lambda: list(to_records(self.experience.book.snapshot())))

    async def restore(self, snapshot: Sequence[bytes]) -> None:
        """Take up from a checkpoint's snapshot."""
        now, grace = time.monotonic(), self.rules.grace_seconds

        def act() -> None:
            restore(self.host.journal, self.experience, snapshot, now=now, grace_seconds=grace)

        await self._change(act, WORK, BATCH)

    async def assert_closed(self) -> None:
        """Raise unless ledger, groups and slots agree."""
        await self.host.act(self.experience.assert_closed)

    async def statistics(self) -> Books:
        """The books, and how the process is doing."""
        return await self.host.act(self._books)

    async def close(self) -> None:
        """Let go of the folder; nothing can be asked any more."""
        await asyncio.to_thread(self.host.close)

    # ── in the thread ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _change(self, act: Callable[[], None], *topics: str) -> None:
        """Run what may give somebody who waits for these something to find."""

        def change() -> None:
            act()
            self.host.news(*topics)

        await self.host.act(change)

    def _take(self, consumer: Version, *, patient: bool) -> Batch | Shortage:
        book = self.experience.book
        groups, out = len(book.groups), consumer.step in book.taken
        taken = self.experience.take(consumer, self.plan, patient=patient)
        if len(book.groups) < groups or (isinstance(taken, Batch) and not out):  # slots came free, or went to training
            self.host.news(WORK)
        return taken

    def _attempted(self, samples: Sequence[Sample], surplus: Surplus | None, owner: str, again: bool) -> list[Rated]:
        book, group = self.experience.book, samples[0].group
        known = [sample for sample in samples if book.ledger.knows(sample.id)]
        rated = self.experience.attempt_many(samples)
        if rated:  # a rating that is not trained on gives its slots back
            self.host.news(BATCH, *(() if book.limits.rating_trained else (WORK,)))
        if surplus is not None and not (again and len(known) == len(samples)):
            self.experience.wasted(*surplus)
        if known and not again:
            # Nobody repeats himself: he was silent for too long, and another made the same meanwhile.
            tokens = sum(sample.tokens for sample in known)
            self.experience.wasted(known[0].cell, len(known), tokens, AGAIN)
        held = book.groups.get(group)
        if held is not None and held.state == "open" and self.experience.leases.holder(group) == owner:
            # What came was made by weights that no longer exist, and the rest of the group with it: at once, and
            # without blame, for whoever did it believes it done.
            self.experience.lost(group, blame=False)
            self.host.news(WORK)
        if again and len(known) == len(samples) and (told := self.experience.known(group)) is not None:
            return [told]
        return rated

    def _tick(self) -> None:
        if expired := self.experience.expire(time.monotonic()):
            self.host.logger.info("given out again or dropped, their owners fell silent: %s", ", ".join(expired))
            self.host.news(WORK, BATCH)

    def _position(self) -> Position:
        book = self.experience.book
        taken = book.next_step in book.taken
        return Position(book.ancestry.lineage, book.next_step, book.published, taken, tuple(book.checkpoints))

    def _lack(self, lacking: dict[Cell, int]) -> Lack:
        making: Counter[Cell] = Counter()
        makers: Counter[str] = Counter()
        for group in self.experience.book.groups.values():
            if group.state in ("open", "judged"):
                making[group.cell] += 1
            if group.state == "open":
                makers[self.experience.leases.holder(group.id) or "waiting"] += 1
        return Lack(self.rules.shard, lacking, dict(making), dict(makers), self.host.journal.refused)

    def _books(self) -> Books:
        """Of one moment: accounts are copied, for they travel later, when further calls have changed them."""
        book = self.experience.book
        return Books(
            accounts={str(cell): copy.deepcopy(account) for cell, account in book.ledger.accounts.items()},
            in_flight={str(cell): count for cell, count in book.ledger.in_flight().items()},
            swept_shares=self.experience.swept.shares(),
            position=self._position(),
            process=self.host.report(),
        )


def _kept(bodies: list[bytes]) -> Any:
    """A reference to the bodies, in the object store of this machine."""
    import ray

    return ray.put(bodies)
