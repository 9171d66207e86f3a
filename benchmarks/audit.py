"""What a journal of the experience says of every sample, worked out by other code than the books' own.

Called by the soak when its run is over. The books decide what happens; here their record is read with nothing in mind
but two questions: was any sample trained on twice, and how many were trained on at each step?

    entered ──► in a group ──► its batch is taken ──► committed: trained ──► resumed at an earlier step: not any more

Also: whether a journal that was seen once is still the beginning of what it is now.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from azr.journal import frames
from azr.ledger import events
from azr.ledger.events import Event


class Audit:
    """Grows event by event."""

    def __init__(self) -> None:
        self.trained: dict[str, int] = {}
        """Samples that were trained on into weights that still exist, by the step."""
        self.twice: list[str] = []
        """Samples that were trained on again though nothing had undone the first time."""
        self.sizes: dict[int, list[int]] = {}
        """Samples in the batch of a step, each time that it was done."""
        self.whole = True
        """Whether the journal tells everything: a snapshot of something stands for a history that is gone."""
        self.undone = 0
        """Samples whose training a resume undid."""
        self._entered: dict[str, set[str]] = {}
        self._taken: dict[int, list[str]] = {}

    def read(self, happened: Iterable[Event]) -> Audit:
        """Go through events in their order."""
        for event in happened:
            match event:
                case events.Judged(sample) | events.Attempted(sample):
                    self._entered.setdefault(sample.group, set()).add(sample.id)
                case events.Taken(consumer, groups):
                    self._taken[consumer.step] = groups
                case events.Committed(consumer):
                    self._committed(consumer.step)
                case events.Resumed(at):
                    self._resumed(at.step)
                case events.Snapshot():
                    self.whole = self.whole and event.sequence == 0
        return self

    @property
    def samples(self) -> int:
        """Different samples that ever came in."""
        return sum(map(len, self._entered.values()))

    def _committed(self, step: int) -> None:
        samples = [sample for group in self._taken.pop(step) for sample in self._entered.get(group, ())]
        self.twice += [sample for sample in samples if sample in self.trained]
        self.trained |= dict.fromkeys(samples, step)
        self.sizes.setdefault(step, []).append(len(samples))

    def _resumed(self, at: int) -> None:
        before = len(self.trained)
        self.trained = {sample: step for sample, step in self.trained.items() if step < at}
        self.undone += before - len(self.trained)
        self._taken.clear()


class Beginning(NamedTuple):
    """What a journal file held at some moment, up to its last whole record."""

    path: Path
    length: int
    digest: bytes

    @classmethod
    def of(cls, path: Path) -> Beginning:
        """What it holds now."""
        with path.open("rb") as file:
            marker = frames.read_marker(file)
            end = 0 if marker is None else frames.survey(file, marker).end
            file.seek(0)
            return cls(path, end, _digest(file.read(end)))

    def kept(self) -> bool:
        """Whether it holds that still, and perhaps more."""
        data = self.path.read_bytes()[: self.length] if self.path.exists() else b""
        return len(data) == self.length and _digest(data) == self.digest


def journals(run: Path) -> list[Path]:
    """All journal files of a run."""
    return sorted(run.glob("journal/*/*.journal"))


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
