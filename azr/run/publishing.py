"""New weights: the step is committed, registry and all engines get them, then they count as generating. On rank 0.

Called by the learner's publisher thread, with whatever version is newest by then.

    weights of step s ─► commit(s - 1) ─► WeightPublisher ─► engines confirm ─► tasks.advance(s) ─► publish(s): slots

Who waits: that thread, for the engines as long as `WeightPublisher` says, and for room for what a journal refuses
(`azr.run.insisting`). While the run ends, because it is told to, it does so no longer than the last checkpoint is
tried, and for what nobody but a resume needs to know then, for `NOTED_SECONDS`.

The step is committed before any engine sees its weights: should the ranks die at any moment after that, they find the
books ahead of their checkpoint, and go on under a new lineage. The other way round an engine could keep weights that
are lost under a version that the restarted ranks make a second time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from actors.weights.publisher import WeightPublisher
from actors.weights.records import UpdateReport
from azr.game.types import Version
from azr.journal.journal import JournalError
from azr.metrics import Accumulator
from azr.run.alarms import Spell
from azr.run.engines import Publishing
from azr.run.insisting import Insistence
from azr.run.source import Setting
from learner.loop import LAST_SECONDS
from learner.weights import Weights

#: How long a journal that refuses is asked again while the run ends: for what engines have by then, and for the step
#: itself, which the last checkpoint commits as well and is tried for so long.
NOTED_SECONDS, COMMITTED_SECONDS = 60.0, LAST_SECONDS + 60.0


class HandsWeightsOn(Protocol):
    """Whoever brings weights to registry and engines; `WeightPublisher` does."""

    def publish(self, version: Version, weights: Weights) -> UpdateReport:
        """Hand a version on; what became of it at each engine."""
        ...


class Publish:
    """The learner's way to hand weights on. The lineage is the one that the batch source has begun by then."""

    def __init__(
        self,
        setting: Setting,
        publisher: HandsWeightsOn,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._setting, self._publisher, self._clock = setting, publisher, clock
        self._insist = Insistence(setting.hub, setting.config.run.batch_seconds, clock, sleep)
        self._ends_since: float | None = None
        """When a refusal first met a run that is to end."""
        begun = setting.experience.lineage()
        self._lineage, self._begun = begun.lineage, begun.step
        self._handed_on: int | None = None
        """The step of the version before."""
        self._uncarried = Spell(1)

    def __call__(self, step: int, weights: Weights) -> None:
        """Commit the step, bring the weights after it to the engines, then let their slots come free."""
        setting, version, what = self._setting, Version(self._lineage, step), f"handing on the weights of step {step}"
        if step > self._begun:
            self._insist(
                what,
                partial(setting.experience.commit, Version(self._lineage, step - 1)),
                self._ended(COMMITTED_SECONDS),
            )
        report = self._publisher.publish(version, weights)
        if report.not_carried is not None:
            self._say_how_it_came(step, report.not_carried)
        if report.missing:
            setting.hub.say(f"weights of step {step} are not everywhere: {'; '.join(report.missing)}")
        try:
            self._insist(what, partial(setting.tasks.advance, step), self._ended(NOTED_SECONDS))
            self._insist(what, partial(setting.experience.publish, version), self._ended(NOTED_SECONDS))
        except JournalError as error:
            if not setting.hub.stopping():
                raise
            # The engines have the weights, and nobody plays any more: whoever resumes the run notes what is missing.
            setting.hub.say(f"{what} is not noted, as the run ends: {error.what}")
        setting.hub.add(synced(report, self._overtaken(step)).to_bytes())
        setting.hub.publish(step)

    def _say_how_it_came(self, step: int, not_carried: str) -> None:
        """Replicas that take the file report nothing wrong: a transport that always fails would do so unheard."""
        over, lasts = self._uncarried.ends(bool(not_carried)), self._uncarried.lasts(bool(not_carried))
        if lasts:
            versions = f" for {self._uncarried.steps} versions in a row" if self._uncarried.steps > 1 else ""
            self._setting.hub.say(f"weights of step {step}: {not_carried}; replicas take the file{versions}")
        elif over:
            self._setting.hub.say(f"weights of step {step} are carried by their transport again")

    def _overtaken(self, step: int) -> int:
        """Versions between the one before and this: they waited for engines while newer ones came."""
        last, self._handed_on = self._handed_on, step
        return 0 if last is None else max(0, -(-(step - last) // self._setting.config.weights.publish_every) - 1)

    def _ended(self, seconds: float) -> Callable[[], bool]:
        """The question whether the run ends, and has had so long to."""

        def ended() -> bool:
            if not self._setting.hub.stopping():
                return False
            self._ends_since = self._clock() if self._ends_since is None else self._ends_since
            return self._clock() - self._ends_since >= seconds

        return ended


def make_publish(setting: Setting, publishing: Publishing) -> Publish:
    """Made on rank 0, after the batch source has begun."""
    publisher = WeightPublisher(
        publishing.registry, setting.config.weights, transport=publishing.transport, dtype=publishing.dtype
    )
    return Publish(setting, publisher)


def synced(report: UpdateReport, overtaken: int = 0) -> Accumulator:
    """What the update cost, as metrics."""
    metrics = Accumulator()
    metrics.add("sync/overtaken", overtaken)
    metrics.add("sync/not_carried", float(bool(report.not_carried)))
    metrics.add("sync/transfer", report.seconds)
    metrics.add("sync/store", report.store_seconds)
    metrics.add("sync/bytes", report.size)
    for one in report.reports:
        metrics.add("sync/version", one.version.step, label=one.name, at=report.version.step)
        if one.times is not None:
            metrics.add("sync/stage", one.times.stage, label=one.name)
            metrics.add("sync/pause", one.times.pause + one.times.apply + one.times.resume, label=one.name)
        for gap in one.gaps:
            metrics.add("sync/gap", gap, label=one.name)
    for name in report.missing:
        metrics.add("sync/failures", 1.0, label=name.partition(" ")[0].rstrip(":"))
    return metrics
