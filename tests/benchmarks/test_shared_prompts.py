"""The benchmark of shared prompts: what it is given, what it builds, and a whole small run."""

from __future__ import annotations

import argparse

import msgspec
import pytest

from azr.bench import Report
from azr.errors import UsageError
from benchmarks import shared_prompts
from benchmarks.shared_prompts import Group, samples_of


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    shared_prompts.add_arguments(parser)
    return parser.parse_args(words)


def test_lengths_are_read_from_a_pair() -> None:
    assert Group.parse("512:2048") == Group(512, 2048)


@pytest.mark.parametrize("text", ["512", "512:", ":5", "0:5", "a:b", "1:2:3"])
def test_what_is_no_pair_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="no pair of lengths") as refused:
        Group.parse(text)
    assert "512:2048" in str(refused.value.mend)


def test_responses_of_a_group_share_its_prompt_and_nothing_else() -> None:
    samples = samples_of(Group(6, 3), responses=4, count=2, vocabulary=50)
    assert [sample.prompt for sample in samples] == [0] * 4 + [1] * 4
    assert len({sample.prompt_ids.tobytes() for sample in samples}) == 2
    assert {(len(sample.prompt_ids), len(sample.response_ids)) for sample in samples} == {(6, 3)}
    assert len({sample.response_ids.tobytes() for sample in samples}) == 8


def test_a_small_run_tells_both_sides_and_what_was_computed() -> None:
    """Eight responses of 5 to a prompt of 28: of 264 tokens 28 + 8 x 4 are computed; alone, 8 x 32."""
    report = Report("shared-prompts", "")
    shared_prompts.run(arguments("--lengths", "28:5", "--groups", "2", "--rounds", "1"), report)
    result = report.result()
    assert {measure.name for measure in result.measures} == {
        "28 + 5: shared",
        "28 + 5: alone",
        "28 + 5: tokens computed",
    }
    (computed,) = [measure for measure in result.measures if measure.name.endswith("computed")]
    assert computed.median == pytest.approx(60 / 264)
    assert [ratio.name for ratio in result.ratios] == ["28 + 5: shared over alone"]
    assert msgspec.json.encode(result), "it can be written"


def test_an_unknown_shape_is_refused_with_the_known() -> None:
    with pytest.raises(UsageError, match="no shape is called 'huge'"):
        shared_prompts.run(arguments("--shape", "huge"), Report("shared-prompts", ""))
