"""What the asynchrony benchmark works out of its runs, by hand on runs written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.asynchrony import idle_gap, implied_idle, phases, seconds_of
from tests.benchmarks.written_runs import read, write_run


def test_time_counts_from_the_end_of_the_warm_up(tmp_path: Path) -> None:
    found = read(write_run(tmp_path / "default-0"))
    assert seconds_of(found, skip=5) == pytest.approx(15.0)
    assert phases(found) == (2.0, 1.0)


def test_who_is_faster_idles_as_the_rates_imply(tmp_path: Path) -> None:
    """Generating takes 2 s and learning 1 s a step: at once, the learner idles half the time and the engine never."""
    assert implied_idle(2.0, 1.0) == {"perf/learner_idle": 0.5, "perf/rollout_idle": 0.0}
    assert implied_idle(1.0, 4.0) == {"perf/learner_idle": 0.0, "perf/rollout_idle": 0.75}
    assert idle_gap(read(write_run(tmp_path / "default-0")), 2.0, 1.0) == pytest.approx(0.4), (
        "the folder's learner idles for a tenth"
    )
