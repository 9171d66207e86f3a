"""What services and engines say of themselves, as metrics. Pure functions of their reports; called once a step.

Books and stocks are totals, so they are told once for each report of a step, from the newest answer. Rates of engines
are differences of two answers; players tell what they counted since they were asked last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from actors.engine.records import EngineStatistics
from actors.services.records import Books, ProcessReport
from actors.services.task_service import Stock
from actors.weights.records import State
from azr.config.sections.staleness import StalenessConfig
from azr.metrics import Accumulator

#: Steps whose counts are remembered. Books are asked every two seconds, so that even steps of a tenth of one are found.
REMEMBERED = 256

#: A rate is over so many seconds at least: players tell their counts every two seconds, each at its own time, not at
#: the ends of steps.
RATE_SECONDS = 5.0


def tell_books(metrics: Accumulator, books: Sequence[Books], staleness: StalenessConfig) -> None:
    """Where every sample and token went, over all shards."""
    for shard in books:
        for cell, account in shard.accounts.items():
            metrics.add("ledger/generated", account.generated.samples, label=cell)
            metrics.add("ledger/generated_tokens", account.generated.tokens, label=cell)
            metrics.add("ledger/trained", account.trained.samples, label=cell)
            metrics.add("ledger/trained_tokens", account.trained.tokens, label=cell)
            for reason, count in account.discarded.items():
                metrics.add("ledger/discarded", count.samples, label=reason)
                metrics.add("ledger/discarded_tokens", count.tokens, label=reason)
        for cell, count in shard.in_flight.items():
            metrics.add("ledger/in_flight", count.samples, label=cell)
        for quarter, swept in enumerate(shard.swept_shares, start=1):
            metrics.add(f"off_policy/swept_length_q{quarter}", swept)
        alarm = any(swept > staleness.sweep_alarm for swept in shard.swept_shares)
        metrics.add("off_policy/swept_length_alarm", float(alarm))
        _tell_process(metrics, shard.process)


def trained_share(books: Sequence[Books], flat_tokens: float, withheld_tokens: float = 0.0) -> float | None:
    """Share of the tokens generated so far that were trained on; None before anything was settled.

    What is in flight is not settled yet, and groups without variance are left out on both sides. What the books call
    trained but was kept out of the gradient (quarantined, or broken log-probs) counts as not trained on.
    """
    trained = sum(account.trained.tokens for shard in books for account in shard.accounts.values())
    generated = sum(account.generated.tokens for shard in books for account in shard.accounts.values())
    in_flight = sum(count.tokens for shard in books for count in shard.in_flight.values())
    settled = generated - in_flight - flat_tokens
    return (trained - flat_tokens - withheld_tokens) / settled if settled > 0 else None


class TrainedShare:
    """The share over a run's life. The learner tells a step seconds before or after the books know it as trained on,
    so that what it kept out of the gradient is looked up by the step at which the books stand."""

    def __init__(self) -> None:
        self._lineage: int | None = None
        self._kept_out: dict[int, tuple[float, float]] = {}
        """Tokens of groups without variance, and withheld ones, so far, by how many steps are done."""

    def told(self, step: int, values: Mapping[str, float]) -> None:
        """What was told of the batch of a step, the first being 1; later ones are done again if they were told."""
        flat, withheld = values.get("ledger/without_variance_tokens"), values.get("ledger/withheld_tokens")
        kept = [before for before in self._kept_out if step - REMEMBERED < before < step]
        self._kept_out = {before: self._kept_out[before] for before in kept}
        if flat is not None and withheld is not None:
            self._kept_out[step] = flat, withheld

    def of(self, books: Sequence[Books]) -> float | None:
        """The share by these books; None where shards stand at different steps, or at one that was not told."""
        stand = {(shard.position.lineage, shard.position.next_step) for shard in books}
        if len(stand) != 1:
            return None
        ((lineage, step),) = stand
        if self._lineage is not None and lineage > self._lineage:
            # Steps of the lineage before are not told apart here from those that were done again.
            self._kept_out = {}
        self._lineage = lineage
        if step not in self._kept_out:
            return None
        return trained_share(books, *self._kept_out[step])


def tell_stocks(metrics: Accumulator, stocks: Sequence[Stock]) -> None:
    """The task buffers, over all shards."""
    for stock in stocks:
        for kind, buffer in stock.buffers.items():
            metrics.add("buffer/tasks", buffer.tasks, label=kind)
            metrics.add("buffer/new", buffer.new, label=kind)
            metrics.add("buffer/out", buffer.out, label=kind)
            metrics.add("buffer/programs", buffer.programs, label=kind)
            metrics.add("buffer/evicted", buffer.evicted, label=kind)
            metrics.add("buffer/duplicates", buffer.duplicates, label=kind)
            if buffer.tasks:
                metrics.add("buffer/visits_mean", buffer.mean_visits, label=kind, weight=buffer.tasks)
                metrics.add("buffer/estimate_age_mean", buffer.mean_estimate_age, label=kind, weight=buffer.tasks)
                metrics.add("buffer/learnability_mean", buffer.mean_learnability, label=kind, weight=buffer.tasks)
        _tell_process(metrics, stock.process)


class Rate:
    """How often something happens, of counts that several tell at different times."""

    def __init__(self, now: float) -> None:
        self._count, self._since = 0.0, now

    def told(self, count: float, now: float) -> float | None:
        """The rate since it was told last, once enough time has passed; else None, and the count is kept for later."""
        self._count += count
        passed = now - self._since
        if passed < RATE_SECONDS:
            return None
        rate, self._count, self._since = self._count / passed, 0.0, now
        return rate


@dataclass(frozen=True)
class EnginesStand:
    """How the engines stand."""

    engines: Mapping[str, EngineStatistics] = field(default_factory=dict)
    """Their counts by replica; one that makes its engine, or stands by, has some as well."""
    states: Mapping[str, State] = field(default_factory=dict)
    """What each replica is at."""
    lost: int = 0
    """Replicas lost since the registry began."""

    def after(self, before: EnginesStand) -> EnginesStand:
        """This answer, and the counts of those that it does not name as they were last: a registry that was restarted
        knows a replica when that has told it again."""
        missing = {name: engine for name, engine in before.engines.items() if name not in self.engines}
        known = dict([*missing.items(), *self.engines.items()][-REMEMBERED:])
        return EnginesStand(known, self.states, self.lost)


def tell_engines(metrics: Accumulator, now: EnginesStand, before: EnginesStand, step: int) -> None:
    """How busy the engines were between two answers; one that began anew in between counts from its start. One that is
    named for the first time has counts of what it did before: from the next answer on it counts as well."""
    made = idle = seconds = 0.0
    # A registry that was restarted counts from nothing. Who is gone without being lost was scaled away.
    replaced = now.lost - before.lost if now.lost >= before.lost else now.lost
    for name, engine in now.engines.items():
        metrics.add("rollout/running", engine.running, label=name)
        metrics.add("rollout/waiting", engine.waiting, label=name)
        metrics.add("rollout/kv_use", engine.kv_use, label=name)
        last = before.engines.get(name)
        if last is None:
            continue
        if engine.seconds < last.seconds:
            last = EngineStatistics()
            # Without counts it makes its next engine, or only stands by now.
            replaced += engine.seconds > 0.0 or now.states.get(name) == "starting"
        if queries := engine.prefix_queries - last.prefix_queries:
            metrics.add("rollout/prefix_hits", (engine.prefix_hits - last.prefix_hits) / queries, label=name)
        if preempted := engine.preempted - last.preempted:
            metrics.add("rollout/preempted", preempted, label=name)
        if (passed := engine.seconds - last.seconds) > 0.0:
            seconds += passed
            idle += max(0.0, passed - (engine.busy_seconds - last.busy_seconds))
            made += (engine.generated_tokens - last.generated_tokens) / passed
    metrics.add("rollout/replicas", list(now.states.values()).count("serving"), at=step)
    metrics.add("rollout/restarts", replaced)
    if seconds > 0.0:
        metrics.add("perf/generated_tokens_per_second", made, at=step)
        metrics.add("perf/rollout_idle", idle / seconds, at=step)


def _tell_process(metrics: Accumulator, process: ProcessReport) -> None:
    metrics.add("service/calls", process.calls, label=process.name)
    metrics.add("service/syncs", process.syncs, label=process.name)
    metrics.add("service/longest_sync", process.longest_sync, label=process.name)
    metrics.add("service/loop_lag", process.loop_lag, label=process.name)
    metrics.add("service/journal", process.journal_bytes, label=process.name)
    metrics.add("service/seconds_up", process.seconds_up, label=process.name)
