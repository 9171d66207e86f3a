"""The benchmark of bookkeeping does what it says: full steps, every trajectory booked."""

from __future__ import annotations

import argparse

from azr.bench import Report
from benchmarks import bookkeeping


def test_one_round_trains_every_trajectory_and_closes_the_books() -> None:
    parser = argparse.ArgumentParser()
    bookkeeping.add_arguments(parser)
    report = Report("bookkeeping", "test")
    bookkeeping.run(parser.parse_args(["--rounds", "1", "--tokens", "5", "--held", "100", "--sync", "never"]), report)
    result = report.result()
    assert [check.name for check in result.checks if check.ok] == [
        "default terms: every step trained 1,920 trajectories",
        "default terms: every proposal was paid by its rating",
        "all terms: every step trained 1,920 trajectories",
        "all terms: every proposal was paid by its rating",
    ]
    parts = {measure.name.partition(": ")[2] for measure in result.measures}
    assert parts == {
        "experience and its journal",
        "buffers and their journal",
        "wire",
        "rewards",
        "advantages",
        "wall",
    }
