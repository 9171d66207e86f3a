"""What a publisher makes of weights and reports; the whole way is tested in tests/actors/rollout."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from actors.engine.records import UpdateTimes
from actors.weights.publisher import _cast, _differing, _disagreeing, make_transport
from actors.weights.records import Report, UpdateReport
from azr.config.sections.weights import WeightsConfig
from azr.errors import AzrError
from azr.game.types import Version

NEW, OLD = Version(0, 7), Version(0, 6)


def _report(name: str, version: Version = NEW, loaded: str = "sum", error: str = "") -> Report:
    times = UpdateTimes(version=version, stage=0.0, pause=0.0, apply=0.0, resume=0.0, loaded=loaded)
    return Report(name=name, number=1, version=version, times=times, error=error)


class TestComparing:
    def test_replicas_that_agree_are_not_mentioned(self) -> None:
        assert _differing([_report("a"), _report("b")], NEW) == []

    def test_one_that_serves_an_older_version_is_named(self) -> None:
        assert _differing([_report("a"), _report("b", OLD, loaded="")], NEW) == ["b serves 0.6"]

    def test_one_that_serves_a_newer_version_is_fine(self) -> None:
        assert _differing([_report("a"), _report("b", Version(0, 8), loaded="")], NEW) == []

    def test_one_whose_weights_differ_is_named_and_not_the_many(self) -> None:
        found = _differing([_report("a"), _report("b", loaded="other"), _report("c")], NEW)
        assert found == ["b holds weights of checksum other where the others hold sum"]

    def test_one_that_failed_is_named_for_that_alone(self) -> None:
        assert _differing([_report("a"), _report("b", OLD, loaded="other", error="torn")], NEW) == []

    def test_a_version_is_everywhere_when_nobody_is_missing(self) -> None:
        assert UpdateReport(version=NEW, reports=(_report("a"),)).complete
        assert not UpdateReport(version=NEW, reports=(), missing=("a did not confirm",)).complete


class TestWhoIsWrong:
    def test_nobody_where_all_agree(self) -> None:
        assert _disagreeing([_report("a"), _report("b")]) == []

    def test_the_few_and_not_the_many(self) -> None:
        assert _disagreeing([_report("a"), _report("b", loaded="x"), _report("c")]) == ["b"]

    def test_all_where_there_is_no_majority(self) -> None:
        assert _disagreeing([_report("a"), _report("b", loaded="x")]) == ["a", "b"]

    def test_one_that_failed_does_not_vote(self) -> None:
        assert _disagreeing([_report("a"), _report("b", loaded="x", error="torn")]) == []


class TestCasting:
    def test_weights_travel_in_the_engines_dtype_and_other_tensors_as_they_are(self) -> None:
        weights = {"w": torch.ones(2, requires_grad=True), "steps": torch.tensor([3])}
        cast = _cast(weights, "bfloat16")
        assert {name: tensor.dtype for name, tensor in cast.items()} == {"w": torch.bfloat16, "steps": torch.int64}
        assert not cast["w"].requires_grad

    def test_without_a_dtype_nothing_changes(self) -> None:
        assert _cast({"w": torch.ones(2, dtype=torch.float64)}, "")["w"].dtype == torch.float64


class TestTransports:
    @pytest.mark.parametrize("name", ["shm", "disk", "gloo", "nccl", "ipc"])
    def test_each_has_a_sender_that_is_made_without_a_gpu(self, name: str, tmp_path: Path) -> None:
        make_transport(name, tmp_path, WeightsConfig(master_address="127.0.0.1")).close()

    def test_an_unknown_one_is_refused_with_the_known(self, tmp_path: Path) -> None:
        with pytest.raises(AzrError, match="pigeon"):
            make_transport("pigeon", tmp_path, WeightsConfig())
