"""Metrics: one catalogue, exact reduction whatever the sharding, and a page that tells of them all."""

from __future__ import annotations

import math
import random
import re
import runpy
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import azr
from azr.errors import AzrError
from azr.metrics import METRICS, Accumulator, find, merged
from azr.metrics.accumulator import bucket, bucket_value
from azr.metrics.catalogue import OWNERS
from azr.metrics.definition import REDUCTIONS
from azr.metrics.exact import added, joined, rounded
from azr.metrics.page import page

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12)


#: Where the name of a metric stands without being told.
READERS = ("azr/metrics/catalogue.py", "azr/run/console.py", "azr/run/alarms.py", "azr/report/page.py")
#: Names that are put together where they are told: which, where, and what stands there of them.
COMPOSED = (
    (r"off_policy/(?:mismatch_)?(\w+)", "learner/diagnostics.py", '"{}": '),
    (r"off_policy/(\w+)", "learner/corrections/", '"{}": '),
    (r"off_policy/(swept_length_q)\d", "azr/run/gathering.py", '"off_policy/{}{{'),
    (r"player/(\w+)_seconds", "actors/players/", 'part("{}")'),
    (r"time/(\w+)", "azr/run/learner_metrics.py", ': "{}"'),
)


class TestCatalogue:
    def test_every_name_has_a_known_owner_and_one_slash(self) -> None:
        for name, metric in METRICS.items():
            assert name == metric.name
            assert name.count("/") == 1
            assert metric.owner in OWNERS

    def test_every_metric_is_described_in_a_sentence_with_a_unit_and_a_known_reduction(self) -> None:
        for metric in METRICS.values():
            assert metric.description.endswith(".")
            assert metric.unit
            assert metric.reduction in REDUCTIONS

    def test_every_owner_has_a_metric(self) -> None:
        assert {metric.owner for metric in METRICS.values()} == set(OWNERS)

    def test_every_metric_is_told_by_somebody(self) -> None:
        """Those who only read metrics do not count."""
        root = Path(azr.__file__).parents[1]
        sources = {
            path.relative_to(root).as_posix(): path.read_text()
            for package in ("azr", "actors", "learner", "sandbox_wasm")
            for path in (root / package).rglob("*.py")
        }
        for reader in READERS:
            del sources[reader]
        everything = "\n".join(sources.values())

        def told(name: str) -> bool:
            if f'"{name}"' in everything:
                return True
            composed = ((re.fullmatch(pattern, name), folder, form) for pattern, folder, form in COMPOSED)
            return any(
                match and form.format(match[1]) in text
                for match, folder, form in composed
                for path, text in sources.items()
                if path.startswith(folder)
            )

        assert [name for name in METRICS if not told(name)] == []

    def test_a_label_at_the_end_finds_the_metric(self) -> None:
        assert find("reward/mean/deduction/solve") is METRICS["reward/mean"]

    @pytest.mark.parametrize("name", ["reward/maen", "reward", "", "loss/policy/extra"])
    def test_an_unknown_name_is_refused(self, name: str) -> None:
        with pytest.raises(AzrError, match="no metric is called"):
            find(name)

    def test_the_nearest_name_is_offered(self) -> None:
        with pytest.raises(AzrError, match="did you mean 'reward/mean'"):
            find("reward/maen/deduction/solve")

    def test_the_page_is_up_to_date(self) -> None:
        written = Path(azr.__file__).parents[1] / "docs" / "metrics.md"
        assert written.read_text() == page(), "run: python -m azr.metrics.page docs/metrics.md"

    def test_the_page_is_written_by_the_command_that_it_names(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "argv", ["azr.metrics.page", str(tmp_path / "metrics.md")])
        monkeypatch.delitem(sys.modules, "azr.metrics.page")
        runpy.run_module("azr.metrics.page", run_name="__main__")
        assert (tmp_path / "metrics.md").read_text() == page()


class TestReductions:
    def test_mean_is_weighted(self) -> None:
        values = Accumulator()
        values.add("loss/policy", 1.0, weight=3.0)
        values.add("loss/policy", 5.0)
        assert values.report() == {"loss/policy": 2.0}

    def test_sum_max_and_last(self) -> None:
        values = Accumulator()
        for at, value in enumerate([2.0, 7.0, 3.0]):
            values.add("time/update", value, at=at)
            values.add("off_policy/swept_length_q1", value, at=at)
            values.add("learner/lr", value, at=at)
        assert values.report() == {"learner/lr": 3.0, "off_policy/swept_length_q1": 7.0, "time/update": 12.0}

    def test_last_goes_by_the_time_given_not_by_arrival(self) -> None:
        values = Accumulator()
        values.add("learner/lr", 1.0, at=5)
        values.add("learner/lr", 2.0, at=4)
        assert values.report() == {"learner/lr": 1.0}

    def test_max_of_negative_values_is_negative(self) -> None:
        values = Accumulator()
        values.add("off_policy/swept_length_q1", -2.0)
        assert values.report() == {"off_policy/swept_length_q1": -2.0}

    def test_a_histogram_tells_four_numbers(self) -> None:
        values = Accumulator()
        for value in range(1, 101):
            values.add("sync/transfer", float(value))
        report = values.report()
        assert report["sync/transfer.mean"] == 50.5
        assert report["sync/transfer.max"] == 100.0
        assert report["sync/transfer.p50"] == pytest.approx(50.0, rel=0.05)
        assert report["sync/transfer.p95"] == pytest.approx(95.0, rel=0.05)

    def test_half_of_the_weight_lies_at_or_below_the_median(self) -> None:
        values = Accumulator()
        values.add("sync/transfer", 1.0)
        values.add("sync/transfer", 100.0)
        assert values.report()["sync/transfer.p50"] == pytest.approx(1.0, rel=0.05)

    def test_a_quantile_never_exceeds_the_largest_value(self) -> None:
        values = Accumulator()
        values.add("sync/transfer", 1.0)
        assert values.report()["sync/transfer.p95"] == 1.0

    def test_quantiles_go_through_zero_and_below(self) -> None:
        values = Accumulator()
        for value in [-8.0, -8.0, 0.0, 0.0, 0.0]:
            values.add("sync/transfer", value)
        report = values.report()
        assert (report["sync/transfer.p50"], report["sync/transfer.p95"]) == (0.0, 0.0)
        values.add("sync/transfer", -8.0, weight=4.0)
        assert values.report()["sync/transfer.p50"] == pytest.approx(-8.0, rel=0.05)

    def test_labels_keep_apart_and_are_asked_for(self) -> None:
        values = Accumulator()
        values.add("reward/mean", 1.0, label="deduction/solve")
        values.add("reward/mean", 3.0, label="deduction/propose")
        assert values.report() == {"reward/mean/deduction/propose": 3.0, "reward/mean/deduction/solve": 1.0}
        with pytest.raises(ValueError, match="told apart by cell"):
            values.add("reward/mean", 1.0)
        with pytest.raises(ValueError, match="told apart by nothing"):
            values.add("loss/policy", 1.0, label="deduction/solve")

    def test_an_unknown_metric_cannot_be_reported(self) -> None:
        with pytest.raises(AzrError, match="no metric is called"):
            Accumulator().add("loss/polciy", 1.0)

    def test_a_weight_of_nothing_reports_nothing(self) -> None:
        values = Accumulator()
        values.add("loss/policy", 1.0, weight=0.0)
        assert values.report() == {}

    @pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("name", ["loss/policy", "time/update", "off_policy/swept_length_q1", "learner/lr"])
    def test_a_value_that_is_no_number_is_shown_and_not_averaged_away(self, name: str, broken: float) -> None:
        values = Accumulator()
        values.add(name, 1.0)
        values.add(name, broken)
        assert math.isnan(values.report()[name])

    def test_only_broken_values_are_nan_too(self) -> None:
        values = Accumulator()
        values.add("sync/transfer", math.nan)
        assert all(map(math.isnan, values.report().values()))

    def test_draining_starts_anew(self) -> None:
        values = Accumulator()
        values.add("loss/policy", 1.0)
        assert values.drain().report() == {"loss/policy": 1.0}
        assert values.report() == {}


NAMES = ("loss/policy", "time/update", "off_policy/swept_length_q1", "sync/transfer")


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), NUMBERS, st.integers(1, 9)), max_size=30),
    st.integers(1, 5),
    st.integers(0, 1000),
)
def test_the_report_does_not_depend_on_which_shard_saw_what(
    values: list[tuple[str, float, int]], count: int, seed: int
) -> None:
    whole = Accumulator()
    for name, value, weight in values:
        whole.add(name, value, weight=weight)
    draw = random.Random(seed)
    shards = {f"actor {index}": Accumulator() for index in range(count)}
    for name, value, weight in draw.sample(values, len(values)):
        shards[draw.choice(sorted(shards))].add(name, value, weight=weight)
    sent = {name: Accumulator.from_bytes(shard.to_bytes()) for name, shard in shards.items()}
    arrival = draw.sample(sorted(sent), len(sent))
    assert merged({name: sent[name] for name in arrival}).report() == whole.report()


def test_of_two_shards_that_report_at_the_same_time_the_later_name_is_last() -> None:
    first, second = Accumulator(), Accumulator()
    first.add("learner/lr", 1.0, at=3)
    second.add("learner/lr", 2.0, at=3)
    assert merged({"b": second, "a": first}).report() == {"learner/lr": 2.0}
    assert merged({"a": second, "b": first}).report() == {"learner/lr": 1.0}


def test_merging_leaves_the_shards_as_they_were() -> None:
    shard = Accumulator()
    shard.add("loss/policy", 1.0)
    merged({"a": shard, "b": shard})
    assert merged({"a": shard}).report() == {"loss/policy": 1.0}


def test_a_broken_shard_breaks_the_whole() -> None:
    sound, broken = Accumulator(), Accumulator()
    sound.add("loss/policy", 1.0)
    broken.add("loss/policy", math.nan)
    assert math.isnan(merged({"a": broken, "b": sound}).report()["loss/policy"])


@given(st.lists(NUMBERS), st.lists(NUMBERS))
def test_sums_are_exact(first: list[float], second: list[float]) -> None:
    parts: list[float] = []
    for value in first:
        parts = added(parts, value)
    others: list[float] = []
    for value in second:
        others = added(others, value)
    exact = sum(map(Fraction, first + second), Fraction(0))
    assert rounded(joined(parts, others)) == float(exact)


def test_what_cancels_leaves_the_small_part() -> None:
    parts: list[float] = []
    for value in (1e16, 1.0, -1e16):
        parts = added(parts, value)
    assert rounded(parts) == 1.0


@given(NUMBERS)
def test_a_bucket_holds_its_value_to_five_percent(value: float) -> None:
    assert bucket_value(bucket(value)) == pytest.approx(value, rel=0.05, abs=0.0)


@given(NUMBERS, NUMBERS)
def test_buckets_are_in_the_order_of_values(first: float, second: float) -> None:
    low, high = sorted([first, second])
    assert bucket(low) <= bucket(high)
