"""Measuring: one result schema, interleaved rounds, a table, a plot, one file a result.

benchmarks/NAME.py ── run(arguments, report) ──► Report ──► Result ──┬─► printed table
                                                                     ├─► benchmarks/results/NAME-DATE-COMMIT.json
                                                                     └─► … .png beside it
"""

from azr.bench.report import Report
from azr.bench.result import Result, read_result
from azr.bench.rounds import cpu_seconds, interleave

__all__ = ["Report", "Result", "cpu_seconds", "interleave", "read_result"]
