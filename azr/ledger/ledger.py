"""The ledger: every sample ever generated was trained on, was discarded for a reason, or is in flight.

Owned by `azr.ledger.book`; counted in samples and in tokens, cell by cell. It closes at every moment:

      generated = trained + discarded (by reason) + in flight
                                                    └── not a counter: summed over the samples held, so that the
                                                        equation is a check and not a definition
Sample ids are idempotent: the first sample acknowledged under an id counts, every later one is passed over, for as long
as a repetition could still be young enough to be trained on. Whoever hosts the books tells a repeated call from a
sample made twice, and has the latter counted as wasted. Generated is what was told here: what a request had made when
its owner gave it up, or died, was told to nobody and stands in no account.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from azr.game.types import Cell, Trajectory, Version
from azr.ledger.dated import DatedIds, earlier
from azr.staleness.bound import versions_of


class LedgerError(Exception):
    """The books do not add up, or a sample was asked for that is not there. A defect of azr, never the user's."""


class BooksBrokenError(LedgerError):
    """What was recorded could not be let happen: journal and memory differ, and only reading the journal anew mends it.

    Whoever hosts the books must end and begin again; whatever else they would answer might be untrue.
    """


class Sample(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One response as the books know it."""

    id: str
    group: str
    cell: Cell
    tokens: int
    """Tokens generated."""
    versions: tuple[Version, ...]
    """The weights that made them, each named once."""
    correct: bool = False
    """Attempts: the verdict."""
    body: bytes = b""
    """The encoded trajectory, opaque here."""

    @classmethod
    def of(cls, trajectory: Trajectory, *, correct: bool = False, body: bytes = b"") -> Sample:
        """A trajectory as the books know it: the one place where its versions are derived from its spans.

        What rates a proposal is not known yet; the book adds those versions when the rating is whole.
        """
        return cls(
            id=trajectory.id,
            group=trajectory.group,
            cell=trajectory.cell,
            tokens=len(trajectory.response_ids),
            versions=versions_of(trajectory),
            correct=correct,
            body=body,
        )

    @property
    def oldest(self) -> Version:
        """The oldest weights that made one of its tokens."""
        return min(self.versions)


class Count(msgspec.Struct):
    """Samples and their tokens."""

    samples: int = 0
    tokens: int = 0

    def add(self, samples: int, tokens: int) -> None:
        """Count more (or, negative, fewer)."""
        self.samples += samples
        self.tokens += tokens


class Account(msgspec.Struct):
    """What became of one cell's samples."""

    generated: Count = msgspec.field(default_factory=Count)
    trained: Count = msgspec.field(default_factory=Count)
    discarded: dict[str, Count] = msgspec.field(default_factory=dict)

    def discard(self, reason: str, samples: int, tokens: int) -> None:
        """Count samples discarded for a reason."""
        self.discarded.setdefault(reason, Count()).add(samples, tokens)


class LedgerState(msgspec.Struct):
    """Everything a ledger knows, as it is written to journals and checkpoints."""

    accounts: dict[str, Account]
    in_flight: list[Sample]
    trained: list[tuple[int, Sample]]
    settled: dict[str, int]
    undone: dict[str, int] = {}


class Ledger:
    """The books of one shard."""

    def __init__(self) -> None:
        self._accounts: dict[Cell, Account] = {}
        self._in_flight: dict[str, Sample] = {}
        self._trained: dict[str, tuple[int, Sample]] = {}
        self._steps: dict[int, list[str]] = {}
        """The same samples, by the step that trained on them."""
        self._settled = DatedIds()
        """Ids that are done with, and the step of their oldest weights."""
        self._undone = DatedIds()
        """Ids that were counted but are still to come, made by other weights; and the step of the oldest of these."""

    def generated_many(self, samples: Iterable[Sample]) -> list[Sample]:
        """Enter samples; returns those that were new."""
        new: list[Sample] = []
        for sample in samples:
            if self.knows(sample.id):
                continue
            self._in_flight[sample.id] = sample
            self._account(sample.cell).generated.add(1, sample.tokens)
            new.append(sample)
        return new

    def trained_many(self, ids: Iterable[str], step: int) -> None:
        """Samples in flight were trained on by this learner step; they are kept, for a resume may undo the step."""
        for sample in self._take_out(list(ids)):
            self._enter_trained(step, sample)
            self._account(sample.cell).trained.add(1, sample.tokens)

    def discarded_many(self, ids: Iterable[str], reason: str) -> None:
        """Samples in flight will never be trained on."""
        for sample in self._take_out(list(ids)):
            self._settled.add(sample.id, sample.oldest.step)
            self._account(sample.cell).discard(reason, 1, sample.tokens)

    def wasted(self, cell: Cell, samples: int, tokens: int, reason: str) -> None:
        """Count what was generated but never became samples, such as the tokens of a cancelled request."""
        account = self._account(cell)
        account.generated.add(samples, tokens)
        account.discard(reason, samples, tokens)

    def undone(self, sample: Sample, reason: str) -> None:
        """Count a sample that will be made again under its id; repetitions of it are passed over."""
        if sample.id in self._undone:
            return
        self._undone.add(sample.id, sample.oldest.step)
        self.wasted(sample.cell, 1, sample.tokens, reason)

    def untrain(self, since: int) -> list[Sample]:
        """Undo the training of every step from `since` on: the samples are in flight again."""
        steps = [step for step in self._steps if step >= since]
        undone = [self._trained.pop(sample_id)[1] for step in steps for sample_id in self._steps.pop(step)]
        for sample in undone:
            self._in_flight[sample.id] = sample
            self._account(sample.cell).trained.add(-1, -sample.tokens)
        return undone

    def strip(self, ids: Iterable[str]) -> None:
        """Let go of the bodies of trained samples, which no resume hands out again; all else stays known of them."""
        for sample_id in ids:
            step, sample = self._trained[sample_id]
            if sample.body:
                self._trained[sample_id] = (step, msgspec.structs.replace(sample, body=b""))

    def embody(self, bodies: Mapping[str, bytes]) -> None:
        """Give bodies to samples in flight or trained on."""
        for sample_id, body in bodies.items():
            if sample_id in self._trained:
                step, sample = self._trained[sample_id]
                self._trained[sample_id] = (step, msgspec.structs.replace(sample, body=body))
            else:
                self._in_flight[sample_id] = msgspec.structs.replace(self.sample(sample_id), body=body)

    def has_bodies(self, ids: Iterable[str]) -> bool:
        """Whether the body of one of these trained samples is held."""
        return any(self._trained[sample_id][1].body for sample_id in ids)

    def forget(self, trained_before: int, made_before: int) -> None:
        """Let go of samples trained before one step and of ids made by weights before another: no resume wants them.

        What it costs is what goes: the steps that stay are passed over whole.
        """
        for step in earlier(self._steps, trained_before):
            for sample_id in self._steps.pop(step):
                _, sample = self._trained.pop(sample_id)
                if step >= made_before:  # else its weights, which are no later than the step, are before it as well
                    self._settled.add(sample_id, sample.oldest.step)
        self._settled.forget(made_before)
        self._undone.forget(made_before)

    def knows(self, sample_id: str) -> bool:
        """Whether a sample was entered under this id."""
        return sample_id in self._in_flight or sample_id in self._trained or sample_id in self._settled

    def sample(self, sample_id: str) -> Sample:
        """A sample in flight."""
        try:
            return self._in_flight[sample_id]
        except KeyError:
            raise LedgerError(f"sample {sample_id} is not in flight") from None

    def in_flight(self) -> dict[Cell, Count]:
        """What is held now, summed over the samples themselves."""
        counts: dict[Cell, Count] = {}
        for sample in self._in_flight.values():
            counts.setdefault(sample.cell, Count()).add(1, sample.tokens)
        return counts

    @property
    def accounts(self) -> dict[Cell, Account]:
        """The books, cell by cell."""
        return self._accounts

    def assert_closed(self) -> None:
        """Raise unless generated = trained + discarded + in flight in every cell, in samples and in tokens."""
        held = self.in_flight()
        for cell in self._accounts.keys() | held.keys():
            account, flying = self._account(cell), held.get(cell, Count())
            settled = [account.trained, *account.discarded.values(), flying]
            for unit in ("samples", "tokens"):
                generated = getattr(account.generated, unit)
                accounted = sum(getattr(count, unit) for count in settled)
                if generated != accounted:
                    raise LedgerError(f"{cell}: {generated} {unit} were generated but {accounted} are accounted for")

    def state(self) -> LedgerState:
        """Everything, to be written at once: the books go on in the same objects."""
        return LedgerState(
            accounts={str(cell): account for cell, account in self._accounts.items()},
            in_flight=list(self._in_flight.values()),
            trained=list(self._trained.values()),
            settled=self._settled.state(),
            undone=self._undone.state(),
        )

    @classmethod
    def from_state(cls, state: LedgerState) -> Ledger:
        """The ledger that was written."""
        ledger = cls()
        ledger._accounts = {Cell.of(cell): account for cell, account in state.accounts.items()}
        ledger._in_flight = {sample.id: sample for sample in state.in_flight}
        for step, sample in state.trained:
            ledger._enter_trained(step, sample)
        ledger._settled = DatedIds(state.settled)
        ledger._undone = DatedIds(state.undone)
        return ledger

    def _enter_trained(self, step: int, sample: Sample) -> None:
        self._trained[sample.id] = (step, sample)
        self._steps.setdefault(step, []).append(sample.id)

    def _account(self, cell: Cell) -> Account:
        account = self._accounts.get(cell)
        if account is None:
            account = self._accounts[cell] = Account()
        return account

    def _take_out(self, ids: Sequence[str]) -> list[Sample]:
        """Remove samples from flight: all of them, or none and an error."""
        taken = [self.sample(sample_id) for sample_id in ids]
        if len(set(ids)) < len(ids):
            raise LedgerError("a sample is named twice in one batch")
        for sample_id in ids:
            del self._in_flight[sample_id]
        return taken
