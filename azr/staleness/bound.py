"""How old a sample is, and the assertion that nothing older than the bound is trained on.

Used where a batch leaves the experience (the sweep) and where it is consumed (the assertions: on what the books say,
and in the learner on the spans of the trajectories themselves). docs/staleness.md proves that what the first lets
through the second accepts.

A version is (lineage, step). A driver that resumes from a checkpoint starts a new lineage at the checkpoint's step, so
steps count on along the weights that led here, and weights off that path no longer exist:

    lineage 0   0 ── 1 ── 2 ── 3 ── 4 ── 5            (0, 4) and (0, 5) are lost: nothing can be at a distance from them
    lineage 1             └─ 2 ── 3 ── 4 ── …         (0, 2) is an ancestor of (1, 4), two steps away
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from azr.errors import AzrError
from azr.game.types import Trajectory, Version


class StalenessError(AzrError):
    """A sample reached the learner that is older than the bound, or made by weights that no longer exist."""


class Ancestry(msgspec.Struct, frozen=True):
    """The path of weights that led to the present lineage."""

    lineage: int = 0
    forks: tuple[Version, ...] = ()
    """The last version of each earlier lineage that is still on the path, oldest first."""

    def holds(self, version: Version) -> bool:
        """Whether the weights of this version are on the path (the newest lineage has no end)."""
        if version.lineage == self.lineage:
            return not self.forks or version.step >= self.forks[-1].step
        return any(fork.lineage == version.lineage and version.step <= fork.step for fork in self.forks)

    def forked(self, at: Version, lineage: int) -> Ancestry:
        """The path after resuming from the checkpoint of `at` under a lineage number never used before."""
        if not self.holds(at):
            raise ValueError(f"{at} is not on the path of lineage {self.lineage}: it cannot be resumed from here")
        if lineage <= self.lineage:
            raise ValueError(f"lineage {lineage} is not new: the present one is {self.lineage}")
        kept = tuple(fork for fork in self.forks if fork.lineage < at.lineage)
        return Ancestry(lineage, (*kept, at))


def staleness(oldest: Version, consumer: Version) -> int:
    """Learner steps between the weights that made the oldest token and the step that consumes it."""
    return consumer.step - oldest.step


def sweep_reason(
    versions: Collection[Version], consumer: Version, ancestry: Ancestry, max_staleness: int
) -> str | None:
    """Why what these weights made may not be trained on at this step: `lineage`, `stale`, or None when it may.

    All of the weights must still be on the path, not only the oldest: a response begun by weights that were kept may
    have been finished by weights that were lost.
    """
    if not all(map(ancestry.holds, versions)):
        return "lineage"
    return "stale" if staleness(min(versions), consumer) > max_staleness else None


def assert_fresh(
    samples: Iterable[Collection[Version]], consumer: Version, ancestry: Ancestry, max_staleness: int
) -> None:
    """Raise `StalenessError` unless every sample of a batch, given by the weights that made it, is within the bound."""
    for versions in samples:
        if (reason := sweep_reason(versions, consumer, ancestry, max_staleness)) is not None:
            made = ", ".join(f"{version.lineage}.{version.step}" for version in sorted(versions))
            raise StalenessError(
                f"a sample made by weights {made} was about to be trained on at step "
                f"{consumer.lineage}.{consumer.step} ({reason}; max_staleness is {max_staleness})",
                "this is a defect of azr, not of the run: please report it with the run's journal",
            )
        if staleness(newest := max(versions), consumer) < 0:
            raise StalenessError(
                f"a sample claims weights {newest.lineage}.{newest.step}, which the step "
                f"{consumer.lineage}.{consumer.step} that trains on it has not made yet",
                "a replica reports wrong versions: restart it",
            )


#: What `Trajectory.reward_version` holds while nobody has set it.
UNSET = Version(0, 0)


def versions_of(trajectory: Trajectory) -> tuple[Version, ...]:
    """The weights that made the tokens of a trajectory, each once, in the order in which they did."""
    return tuple(dict.fromkeys(span.version for span in trajectory.spans))


def assert_fresh_spans(
    trajectories: Iterable[Trajectory], consumer: Version, ancestry: Ancestry, max_staleness: int
) -> None:
    """Raise `StalenessError` unless every trajectory is within the bound by its own spans, whatever the books say.

    For the learner, on what it is about to train on. The weights that had a part in a reward count as well, except
    where they are `UNSET`: a rating by the very first weights cannot be told from none here, only in the books.
    """
    made = []
    for trajectory in trajectories:
        if not trajectory.spans:
            raise StalenessError(
                f"trajectory {trajectory.id} was about to be trained on, but names no weights that made it",
                "a replica reports no version spans: restart it",
            )
        rated = () if trajectory.reward_version == UNSET else (trajectory.reward_version,)
        made.append(versions_of(trajectory) + rated)
    assert_fresh(made, consumer, ancestry, max_staleness)
