"""The real experience in this process, behind the clients' interface; and players that fill it at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from actors.services.records import Position
from azr.config.root import Config
from azr.game.batch import BatchPlan
from azr.game.types import Version
from azr.journal.durable import open_experience
from azr.journal.journal import Journal
from azr.ledger.experience import Batch, Experience
from azr.ledger.snapshots import from_records, to_records
from azr.staleness.admission import Limits
from azr.staleness.bound import Ancestry
from tests.ledger.play import next_group, propose, replay
from tests.run.items import attempts, proposal, spans


def config() -> Config:
    """One task type, one proposal and two groups of two attempts a step, at most one step old."""
    made = Config()
    made.algorithm.game.task_types = ["deduction"]
    made.algorithm.rating.attempts = made.algorithm.batch.attempts_per_task = 2
    made.algorithm.batch.propose, made.algorithm.batch.solve = 1, 4
    made.algorithm.batch.replay_share = 0.5
    made.staleness.max_staleness = 1
    return made


class LocalExperience:
    """`ExperienceClient` without actors; without a journal, too, unless one is given."""

    def __init__(self, of: Config, journal: Journal | None = None) -> None:
        limits = Limits.of(of.algorithm, of.staleness)
        self.books = open_experience(journal, limits, now=0.0)[0] if journal else Experience(limits)
        self._plan = BatchPlan.of(of.algorithm)
        self.calls: list[str] = []

    def fill(self, step: int, lineage: int = 0) -> None:
        """All that a batch needs, made by the weights of this step."""
        name = f"{lineage}.{step}"
        made = spans(step, step, lineage=lineage)
        assert propose(self.books, f"p{name}")
        self.books.judge_many([(proposal(f"p{name}", rating=(1, 2), made=made).sample, f"task of p{name}")])
        group = next_group(self.books, "solver", 0.0)
        assert group is not None
        self.books.attempt_many([item.sample for item in attempts(group.id, [1.0, -0.5], made=made)])
        assert replay(self.books, f"r{name}", "deduction", "old task", "solver", 0.0) is None
        self.books.attempt_many([item.sample for item in attempts(f"r{name}", [1.0, 1.0], made=made)])

    def take(self, consumer: Version, deadline_seconds: float) -> Batch | None:
        self.calls.append(f"take {consumer.lineage}.{consumer.step}")
        taken = self.books.take(consumer, self._plan)
        return taken if isinstance(taken, Batch) else None

    def lacking(self, consumer: Version) -> str:
        taken = self.books.take(consumer, self._plan)
        return "" if isinstance(taken, Batch) else ", ".join(f"{cell} {count}" for cell, count in taken.lacking.items())

    def commit(self, consumer: Version) -> None:
        self.calls.append(f"commit {consumer.lineage}.{consumer.step}")
        self.books.commit(consumer)

    def publish(self, version: Version) -> None:
        self.calls.append(f"publish {version.lineage}.{version.step}")
        self.books.publish(version)

    def resume(self, at: Version, lineage: int) -> None:
        self.calls.append(f"resume {at.lineage}.{at.step} as {lineage}")
        self.books.resume(at, lineage)

    def keep(self, checkpoints: Sequence[int]) -> None:
        self.calls.append(f"keep {' '.join(map(str, checkpoints))}")
        self.books.keep(checkpoints)

    def lineage(self) -> Version:
        return Version(self.books.book.ancestry.lineage, self.books.book.next_step)

    def positions(self) -> list[Position]:
        book = self.books.book
        taken = book.next_step in book.taken
        return [Position(book.ancestry.lineage, book.next_step, book.published, taken, tuple(book.checkpoints))]

    def ancestry(self) -> Ancestry:
        return self.books.book.ancestry

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(list(to_records(self.books.book.snapshot())))

    def restore(self, snapshot: bytes) -> None:
        self.calls.append("restore")
        self.books.restore(from_records(msgspec.msgpack.decode(snapshot, type=list[bytes])), 0.0)


class LocalShards(LocalExperience):
    """Two shards of it, as one that does to the first what it does to the second; a test may act on one alone."""

    def __init__(self, of: Config) -> None:
        super().__init__(of)
        self.second = LocalExperience(of)
        self.second.calls = []

    def fill(self, step: int, lineage: int = 0) -> None:
        super().fill(step, lineage)
        self.second.fill(step, lineage)

    def take(self, consumer: Version, deadline_seconds: float) -> Batch | None:
        parts = [super().take(consumer, deadline_seconds), self.second.take(consumer, deadline_seconds)]
        items = [item for part in parts if part is not None for item in part.items]
        return Batch(consumer, items) if None not in parts else None

    def commit(self, consumer: Version) -> None:
        super().commit(consumer)
        self.second.commit(consumer)

    def publish(self, version: Version) -> None:
        super().publish(version)
        self.second.publish(version)

    def resume(self, at: Version, lineage: int) -> None:
        super().resume(at, lineage)
        self.second.resume(at, lineage)

    def keep(self, checkpoints: Sequence[int]) -> None:
        super().keep(checkpoints)
        self.second.keep(checkpoints)

    def lineage(self) -> Version:
        both = self.positions()
        return Version(max(one.lineage for one in both), min(one.next_step for one in both))

    def positions(self) -> list[Position]:
        return [*super().positions(), *self.second.positions()]


class LocalTasks:
    """`TaskClient` without actors or tasks."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.missing: list[str] = []
        """Shards that have lost their journals."""

    def advance(self, step: int) -> None:
        self.calls.append(f"advance {step}")

    def resume(self, at: Version) -> None:
        self.calls.append(f"resume {at.lineage}.{at.step}")

    def snapshot(self) -> bytes:
        return b"tasks"

    def lost(self, snapshot: bytes | None) -> list[str]:
        return self.missing

    def restore(self, snapshot: bytes, shards: Collection[str] = ()) -> None:
        self.calls.append(" ".join([f"restore {snapshot.decode()}", *shards]))


class LocalHub:
    """`HubClient` without an actor."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.failed: list[str] = []
        self.mends: list[str] = []
        self.reports: list[tuple[int, list[str], bool]] = []
        self.published: list[int] = []
        self.added: list[bytes] = []
        self.stop = ""
        self.plays = True

    def report(self, step: int, parts: dict[str, bytes], *, last: bool) -> None:
        self.reports.append((step, sorted(parts), last))

    def publish(self, step: int) -> None:
        self.published.append(step)

    def say(self, line: str) -> None:
        self.said.append(line)

    def fail(self, why: str, mend: str) -> None:
        self.failed.append(why)
        self.mends.append(mend)

    def add(self, content: bytes) -> None:
        self.added.append(content)

    def stopping(self) -> str:
        return self.stop

    def playing(self) -> bool:
        return self.plays
