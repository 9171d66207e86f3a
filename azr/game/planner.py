"""What an idle actor should do next: rate a waiting task, propose, or solve a task from the buffer. A pure state
machine.

Each proposal fans out into n attempts. Left to themselves, attempts would take every slot (they are n times as many) or
proposals would pile up unrated. So:

1. A task that waits for its rating goes first: its proposal cannot be trained on before, and grows stale.
2. Then whichever lacks the larger share of its quota; between equals proposing, which is what new tasks come from.

Neither starves: a proposal is begun only while its cell lacks one, counting those in flight and unrated, so that at
most a quota of ratings is ever owed; once they are out, the choice falls to the larger lack, and every choice
shrinks it.

    proposing ──gate──► to_rate ──► rating ──► new_ready ─┐
                                               ready ─────┴─► batch       (counts of groups in `Demand`)
    solving ──────────────────────────────────► replay_ready ┘
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["rate", "propose", "solve"]


class Work(NamedTuple):
    """What to do, and for which task type."""

    kind: Kind
    task: str


@dataclass(frozen=True, slots=True)
class Demand:
    """One task type's counts of groups: what a batch needs, and what is ready or under way."""

    task: str
    propose_quota: int
    solve_quota: int
    replay_quota: int
    """How many of the solve quota are to come from the buffer."""
    proposing: int = 0
    """Responses being generated or judged by the gate."""
    to_rate: int = 0
    """Accepted tasks whose attempts nobody has begun."""
    rating: int = 0
    """Accepted tasks whose attempts are running."""
    propose_ready: int = 0
    """Proposals with a reward."""
    new_ready: int = 0
    """Groups of attempts at new tasks."""
    solving: int = 0
    """Groups of attempts at buffered tasks that are running."""
    replay_ready: int = 0
    """… that are ready."""
    may_propose: bool = True
    """Admission grants a proposal and the attempts that rate it."""
    may_solve: bool = True
    """Admission grants a group of attempts, and the buffer has a task."""

    @property
    def unfinished_proposals(self) -> int:
        """Proposals begun and not yet rewarded."""
        return self.proposing + self.to_rate + self.rating

    @property
    def propose_lack(self) -> int:
        """Proposals to begin."""
        return max(0, self.propose_quota - self.propose_ready - self.unfinished_proposals)

    def solve_lack(self, *, ratings_are_trained: bool) -> int:
        """Groups of buffered tasks to begin: the replay quota, and what new tasks cannot fill even if all are
        accepted."""
        under_way = self.replay_ready + self.solving
        if not ratings_are_trained:
            return max(0, self.solve_quota - self.new_ready - under_way)
        coming = self.new_ready + self.unfinished_proposals + self.propose_lack
        return max(0, self.replay_quota - under_way, self.solve_quota - under_way - coming)


def next_work(demands: Sequence[Demand], *, ratings_are_trained: bool) -> Work | None:
    """The next thing to do, or None when the batch needs nothing more than is under way."""
    waiting = max(demands, key=lambda demand: demand.to_rate, default=None)
    if waiting is not None and waiting.to_rate:
        return Work("rate", waiting.task)
    best: tuple[float, Work] | None = None
    for demand in demands:
        for share, work in _lacks(demand, ratings_are_trained):
            if share > 0.0 and (best is None or share > best[0]):
                best = (share, work)
    return best[1] if best else None


def _lacks(demand: Demand, ratings_are_trained: bool) -> list[tuple[float, Work]]:
    """What the task type lacks, as shares of its quotas; proposing first, so that it wins a tie."""
    lacks: list[tuple[float, Work]] = []
    if demand.may_propose and demand.propose_quota:
        lacks.append((demand.propose_lack / demand.propose_quota, Work("propose", demand.task)))
    if demand.may_solve and demand.solve_quota:
        lack = demand.solve_lack(ratings_are_trained=ratings_are_trained)
        lacks.append((lack / demand.solve_quota, Work("solve", demand.task)))
    return lacks
