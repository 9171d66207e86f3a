"""Figures of a pool, against ones counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sandbox_wasm.protocol import InspectResult, Outcome, RunResult
from sandbox_wasm.statistics import LONGEST_SECONDS, SHORTEST_SECONDS, Histogram, Recorder


def test_percentiles_are_within_a_bucket_of_the_exact_ones() -> None:
    durations = np.random.default_rng(7).lognormal(-7, 1.5, 20_000)
    histogram = Histogram()
    for duration in durations:
        histogram.add(float(duration))
    for share in (0.5, 0.9, 0.99):
        assert histogram.percentile(share) == pytest.approx(np.quantile(durations, share), rel=0.04)


def test_durations_out_of_range_count_at_its_ends() -> None:
    histogram = Histogram()
    histogram.add(0.0)
    histogram.add(1e9)
    assert histogram.total == 2
    assert histogram.percentile(0.5) == pytest.approx(SHORTEST_SECONDS, rel=0.05)
    assert histogram.percentile(1.0) == pytest.approx(LONGEST_SECONDS, rel=0.05)


def test_an_empty_histogram_has_no_percentiles() -> None:
    assert Histogram().percentile(0.5) == 0.0


def test_rates_are_over_the_time_with_work_and_every_outcome_is_an_execution() -> None:
    recorder = Recorder()
    recorder.work_began(10.0)
    recorder.answered(RunResult((Outcome("ok"), Outcome("timeout"), Outcome("ok"))))
    recorder.answered(InspectResult(facts=None, reason="syntax"))
    recorder.work_ended(12.0)
    recorder.work_began(100.0)
    recorder.replaced()
    seen = recorder.snapshot(102.0)
    assert (seen.jobs, seen.executions, seen.workers_replaced) == (2, 4, 1)
    assert seen.executions_per_second == 1.0  # 4 in 2 s of one spell and 2 s of another
    assert seen.by_status == {"ok": 2, "syntax": 1, "timeout": 1}
