"""Mutations of the reduction of metrics."""

from __future__ import annotations

from tests.mutation.mutation import mutations

TESTS = "tests/test_metrics.py"

MUTATIONS = [
    *mutations(
        "azr/metrics/exact.py",
        TESTS,
        [
            ("small - (value - large)", "small + (value - large)"),
            ("abs(value) >= abs(part)", "abs(value) <= abs(part)"),
            ("        if rest:\n            result.append(rest)\n", ""),
        ],
    ),
    *mutations(
        "azr/metrics/accumulator.py",
        TESTS,
        [
            ("added(self.total, weight * value)", "added(self.total, value)"),
            ("self.highest = max(self.highest, value)", "self.highest = min(self.highest, value)"),
            ("self.highest = max(self.highest, other.highest)", "self.highest = other.highest"),
            ("if at >= self.last[0]", "if at <= self.last[0]"),
            ("other.last[0] >= self.last[0]", "other.last[0] > self.last[0]"),
            ("self.broken or other.broken", "other.broken"),
            ("return math.nan if self.broken else value", "return value"),
            ("rounded(self.total) / weight", "rounded(self.total)"),
            ("if seen >= wanted", "if seen > wanted + 1.0"),
            ("min(bucket_value(number), self.highest)", "bucket_value(number)"),
            ("return number if value > 0.0 else -number", "return number"),
            ("return middle if number > 0 else -middle", "return middle"),
            ("_OFFSET + 0.5", "_OFFSET + 1.5"),
            ("in sorted(shards.items())", "in shards.items()"),
            ("self.quantile(0.5)", "self.quantile(0.95)"),
            ("self.quantile(0.95)", "self.quantile(0.5)"),
        ],
    ),
    *mutations(
        "azr/metrics/catalogue.py",
        TESTS,
        [("name != short and not metric.by", "name != short and metric.by")],
    ),
]
