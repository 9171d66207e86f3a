"""The benchmark of samples without an advantage: what it builds, what it refuses, and a whole small run."""

from __future__ import annotations

import argparse

import msgspec
import pytest

from azr.bench import Report
from azr.errors import UsageError
from benchmarks import zero_advantages
from benchmarks.shared_prompts import Group, samples_of
from benchmarks.zero_advantages import silenced


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    zero_advantages.add_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(("share", "silent"), [(0.0, 0), (0.3, 1), (0.5, 2), (0.75, 3), (1.0, 4)])
def test_whole_groups_are_silenced_and_the_others_stay_as_they_were(share: float, silent: int) -> None:
    samples = samples_of(Group(6, 3), responses=2, count=4, vocabulary=50)
    made = silenced(samples, share)
    assert [sample.advantage == 0.0 for sample in made] == [sample.prompt < silent for sample in samples]
    assert made[2 * silent :] == samples[2 * silent :]


def test_a_small_run_tells_both_sides_and_what_was_updated_from() -> None:
    report = Report("zero-advantages", "")
    zero_advantages.run(arguments("--silent", "0.5", "--groups", "4", "--rounds", "1"), report)
    result = report.result()
    label = "50% without an advantage"
    assert {measure.name for measure in result.measures} == {
        f"{label}: left out",
        f"{label}: computed",
        f"{label}: tokens updated from",
    }
    (updated,) = [measure for measure in result.measures if measure.name.endswith("updated from")]
    assert updated.median == pytest.approx(0.5)
    assert [ratio.name for ratio in result.ratios] == [f"{label}: left out over computed"]
    assert msgspec.json.encode(result), "it can be written"


@pytest.mark.parametrize(
    ("words", "what"),
    [(("--shape", "huge"), "no shape is called 'huge'"), (("--silent", "1.5"), "1.5 is no share")],
)
def test_what_cannot_be_measured_is_refused_by_name(words: tuple[str, ...], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        zero_advantages.run(arguments(*words), Report("zero-advantages", ""))
