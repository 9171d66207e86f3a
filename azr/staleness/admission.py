"""Admission: how much may be generated ahead of the learner, cell by cell.

Called by `azr.ledger.experience` before any work begins; whoever is refused waits until slots come free, which only a
published version or a dropped group brings about. The back-pressure of the whole system is this one count:

    admit ──► outstanding ──► taken for training ──► published ──► free again
      │        (reserved, running, ready)                            ▲
      └──────────────── dropped, swept, refused by the gate ─────────┘

A proposal reserves 1 slot in its propose cell and n in its solve cell, because a valid task needs n attempts before the
proposal can be rewarded: its rating then never waits for a slot. Replay draws on what proposals leave over.
docs/decisions/admission.md derives the formula from AReaL's and tells why the counts need no re-basing after a resume.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from azr.config.sections.algorithm import AlgorithmConfig
from azr.config.sections.staleness import StalenessConfig
from azr.game.types import Cell


def capacity(max_staleness: int, quota: int, outstanding: int) -> int:
    """Slots free in a cell: (η + 1)·quota − outstanding, everything admitted and not yet part of published weights.

    AReaL's (η + v + 1)·B − admitted, with v·B of the admitted trained into the published version v.
    """
    return (max_staleness + 1) * quota - outstanding


class Refusal(NamedTuple):
    """Why work was not admitted: whoever asked waits for this cell."""

    cell: Cell
    free: int


class Limits(NamedTuple):
    """What admission is decided by; fixed for a run."""

    max_staleness: int
    propose: int
    """Proposals of one task type that a step trains on."""
    solve: int
    """Attempts of one task type that a step trains on."""
    attempts: int
    """Attempts that rate a proposal; they are training samples of the solve cell unless `rating_trained` is off."""
    replay_attempts: int
    """Attempts at a task drawn from the buffer."""
    replay_share: float
    """Share of the solve quota that replay may hold while proposals can fill the rest."""
    rating_trained: bool = True
    """Off: ratings are estimates to be thrown away, and take no slots."""
    task_types: tuple[str, ...] = ("deduction",)
    """In play, in the order in which ties between them are broken."""

    @classmethod
    def of(cls, algorithm: AlgorithmConfig, staleness: StalenessConfig) -> Limits:
        """The limits that a configuration asks for, checked; without proposers nothing is proposed."""
        batch, rating = algorithm.batch, algorithm.rating
        limits = cls(
            max_staleness=staleness.max_staleness,
            propose=batch.propose if algorithm.game.train_propose else 0,
            solve=batch.solve,
            attempts=rating.attempts,
            replay_attempts=batch.attempts_per_task,
            replay_share=batch.replay_share,
            rating_trained=rating.trained,
            task_types=tuple(algorithm.game.task_types),
        )
        limits.check()
        return limits

    @property
    def rating_slots(self) -> int:
        """Solve slots that a proposal reserves."""
        return self.attempts if self.rating_trained else 0

    @property
    def replay_slots(self) -> int:
        """Solve slots a step that replay may hold, in whole groups; all of them when nobody proposes."""
        share = self.replay_share if self.propose and self.rating_trained else 1.0
        return int(share * self.solve / self.replay_attempts + 1e-9) * self.replay_attempts

    def check(self) -> None:
        """Refuse limits under which a batch could never be filled."""
        if self.max_staleness < 0:
            raise ValueError(f"max_staleness is {self.max_staleness}; 0 is the synchronous system")
        if self.attempts < 1 or self.replay_attempts < 1:
            raise ValueError("a group has at least one attempt")
        if self.rating_trained and self.attempts != self.replay_attempts:
            raise ValueError("attempts that rate and attempts that replay share a batch: groups must be of one size")
        if self.solve % self.replay_attempts:
            raise ValueError(f"{self.solve} solve slots are no multiple of groups of {self.replay_attempts}")
        if self.propose and self.solve and self.solve < self.propose * self.rating_slots:
            raise ValueError(
                f"{self.propose} proposals bring {self.propose * self.rating_slots} attempts a step, "
                f"but only {self.solve} would be trained on: raise the solve quota or lower the propose quota"
            )


class Admission:
    """Slots held in every cell, and the decision whether more may be taken."""

    def __init__(self, limits: Limits) -> None:
        limits.check()
        self.limits = limits
        self._open: Counter[Cell] = Counter()
        self._replay: Counter[Cell] = Counter()
        self._training: Counter[Cell] = Counter()

    def quota(self, cell: Cell) -> int:
        """Samples of the cell that a step trains on."""
        return self.limits.propose if cell.role == "propose" else self.limits.solve

    def open(self, cell: Cell) -> int:
        """Slots reserved, running or ready: what later batches may come from."""
        return self._open[cell]

    def outstanding(self, cell: Cell) -> int:
        """Slots held: open ones, and those in training until the weights they make are published."""
        return self._open[cell] + self._training[cell]

    def free(self, cell: Cell) -> int:
        """Slots free by the formula (below zero while proposals overdraw a solve cell)."""
        return capacity(self.limits.max_staleness, self.quota(cell), self.outstanding(cell))

    def overdraft(self, cell: Cell) -> int:
        """Slots held above the formula and above what one batch of proposals may overdraw."""
        return -self.free(cell) - self.limits.propose * self.limits.rating_slots

    def refuses_proposal(self, task_type: str) -> Refusal | None:
        """Why no proposal of this type may begin now; None when one may.

        A full solve cell refuses it only while the next batch has its proposals. When it has not, the learner would
        wait for proposals and they for slots that only the learner frees; so the solve cell is overdrawn instead, by
        less than one batch of ratings (see docs/staleness.md, progress).
        """
        propose, solve = Cell(task_type, "propose"), Cell(task_type, "solve")
        if (free := self.free(propose)) < 1:
            return Refusal(propose, free)
        slots = self.limits.rating_slots
        if (free := self.free(solve)) < slots and self._open[propose] >= self.limits.propose:
            return Refusal(solve, free)
        return None

    def refuses_replay(self, task_type: str) -> Refusal | None:
        """Why no group of attempts at an old task may begin now; None when one may.

        Replay leaves the slots of the proposals that may still come, and keeps to its share while any may; when none
        may, it can fill the next batch.
        """
        cell = Cell(task_type, "solve")
        size = self.limits.replay_attempts
        proposals = max(0, self.free(Cell(task_type, "propose")))
        if (left := self.free(cell) - proposals * self.limits.rating_slots) < size:
            return Refusal(cell, left)
        share = capacity(self.limits.max_staleness, self.limits.replay_slots, self._replay[cell])
        if share < size and (proposals or self._open[cell] + size > self.limits.solve):
            return Refusal(cell, share)
        return None

    def wanted(self) -> list[Cell]:
        """Cells in which work may begin now, the one with the least of its quota under way first.

        Ties go by the order of task types, proposing before solving, which follows from it.
        """
        cells: list[Cell] = []
        for task_type in self.limits.task_types:
            if self.limits.propose and self.refuses_proposal(task_type) is None:
                cells.append(Cell(task_type, "propose"))
            if self.refuses_replay(task_type) is None:
                cells.append(Cell(task_type, "solve"))
        return sorted(cells, key=lambda cell: self._open[cell] / self.quota(cell))

    def copy(self) -> Admission:
        """The same slots, held apart: to decide about several pieces of work before any of them is recorded."""
        other = Admission(self.limits)
        other._open, other._replay, other._training = self._open.copy(), self._replay.copy(), self._training.copy()
        return other

    def hold(self, cell: Cell, slots: int, *, replay: bool = False) -> None:
        """Take slots for work that was admitted, or that is back after a resume."""
        self._open[cell] += slots
        self._replay[cell] += slots if replay else 0

    def hold_proposal(self, task_type: str) -> None:
        """Take the slots of an admitted proposal: its own and those of its rating."""
        self.hold(Cell(task_type, "propose"), 1)
        self.hold(Cell(task_type, "solve"), self.limits.rating_slots)

    def hold_replay(self, task_type: str) -> None:
        """Take the slots of admitted attempts at an old task."""
        self.hold(Cell(task_type, "solve"), self.limits.replay_attempts, replay=True)

    def release(self, cell: Cell, slots: int, *, replay: bool = False) -> None:
        """Give slots back without training on them: dropped, swept, or not needed because the gate refused the task."""
        self._take_off(cell, slots, replay)

    def train(self, cell: Cell, slots: int, *, replay: bool = False) -> None:
        """Move slots into training: they stay held until the weights they make are published."""
        self._take_off(cell, slots, replay)
        self._training[cell] += slots

    def untrain(self, cell: Cell, slots: int, *, replay: bool = False) -> None:
        """Move slots out of training again, for a batch that will never be committed."""
        self._training[cell] -= slots
        self.hold(cell, slots, replay=replay)

    def publish(self, trained: Mapping[Cell, int]) -> None:
        """New weights are out: the slots that were trained into them come free."""
        for cell, slots in trained.items():
            if slots > self._training[cell]:
                raise ValueError(f"{slots} slots of {cell} are published, {self._training[cell]} were in training")
            self._training[cell] -= slots

    def assert_same(self, other: Admission) -> None:
        """Raise unless the other holds the same slots everywhere: `other` is a count made afresh from the groups."""
        for name in ("_open", "_replay", "_training"):
            mine, theirs = (+getattr(admission, name) for admission in (self, other))
            if mine != theirs:
                raise ValueError(f"slots {name[1:]}: {dict(mine)} are counted, but the groups hold {dict(theirs)}")

    def _take_off(self, cell: Cell, slots: int, replay: bool) -> None:
        if slots > self._open[cell]:
            raise ValueError(f"{slots} slots of {cell} are given back, {self._open[cell]} are held")
        self._open[cell] -= slots
        self._replay[cell] -= slots if replay else 0
