"""The books and buffers of all shards as metrics."""

from __future__ import annotations

from collections.abc import Sequence

from actors.services.records import Books, ProcessReport
from actors.services.task_service import Stock
from azr.metrics.accumulator import Accumulator


def ledger_metrics(shards: Sequence[Books]) -> Accumulator:
    """Where every sample and token went, so far, over all shards of the experience."""
    metrics = Accumulator()
    generated = trained = 0
    for books in shards:
        for cell, account in books.accounts.items():
            metrics.add("ledger/generated", account.generated.samples, label=cell)
            metrics.add("ledger/generated_tokens", account.generated.tokens, label=cell)
            metrics.add("ledger/trained", account.trained.samples, label=cell)
            metrics.add("ledger/trained_tokens", account.trained.tokens, label=cell)
            for reason, count in account.discarded.items():
                metrics.add("ledger/discarded", count.samples, label=reason)
                metrics.add("ledger/discarded_tokens", count.tokens, label=reason)
            generated += account.generated.tokens
            trained += account.trained.tokens
        for cell, count in books.in_flight.items():
            metrics.add("ledger/in_flight", count.samples, label=cell)
            generated -= count.tokens
        for quarter, share in enumerate(books.swept_shares, start=1):
            metrics.add(f"off_policy/swept_length_q{quarter}", share)
        _process(metrics, books.process)
    if generated:
        metrics.add("ledger/trained_share", trained / generated)
    return metrics


def buffer_metrics(shards: Sequence[Stock]) -> Accumulator:
    """What the task buffers hold, over all shards."""
    metrics = Accumulator()
    for stock in shards:
        for kind, status in stock.buffers.items():
            metrics.add("buffer/tasks", status.tasks, label=kind)
            metrics.add("buffer/new", status.new, label=kind)
            metrics.add("buffer/out", status.out, label=kind)
            metrics.add("buffer/programs", status.programs, label=kind)
            metrics.add("buffer/evicted", status.evicted, label=kind)
            metrics.add("buffer/duplicates", status.duplicates, label=kind)
            metrics.add("buffer/visits_mean", status.mean_visits, label=kind, weight=status.tasks)
            metrics.add("buffer/estimate_age_mean", status.mean_estimate_age, label=kind, weight=status.tasks)
            metrics.add("buffer/learnability_mean", status.mean_learnability, label=kind, weight=status.tasks)
        _process(metrics, stock.process)
    return metrics


def _process(metrics: Accumulator, process: ProcessReport) -> None:
    metrics.add("service/calls", process.calls, label=process.name)
    metrics.add("service/syncs", process.syncs, label=process.name)
    metrics.add("service/longest_sync", process.longest_sync, label=process.name)
    metrics.add("service/loop_lag", process.loop_lag, label=process.name)
    metrics.add("service/journal", process.journal_bytes, label=process.name)
    metrics.add("service/seconds_up", process.seconds_up, label=process.name)
