"""Whether a run computes on GPUs is one answer for Ray, engines and learner."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from azr.config import load
from azr.config.root import Config
from azr.run import gpus, local_ray
from azr.run.gpus import on_gpus, own_gpus, ranks_on_gpus
from azr.run.local_ray import ray_of


@pytest.fixture
def usable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with cards and an environment built for them."""
    monkeypatch.setattr(gpus, "has_gpu", lambda: True)


class TestWhereNoGpuOfThisMachineCanBeUsed:
    """As on the head of a cluster, and in the environment for CPUs on a machine with a card."""

    @pytest.fixture(autouse=True)
    def head(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gpus, "has_gpu", lambda: False)

    def test_a_run_of_its_own_uses_none_whatever_ray_finds(self) -> None:
        assert not on_gpus(Config(), {"CPU": 8.0})
        assert not on_gpus(Config(), {"CPU": 8.0, "GPU": 1.0})
        assert own_gpus() == 0

    def test_its_own_ray_is_told_of_none(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        asked: list[dict[str, Any]] = []

        def init(**options: Any) -> None:
            asked.append(options)

        monkeypatch.setattr(ray, "init", init)
        monkeypatch.setattr(local_ray, "remove_abandoned_temporary", lambda: None)
        monkeypatch.setattr(local_ray, "reaping", lambda *_what: contextlib.nullcontext(SimpleNamespace()))
        with ray_of(load(["tiny"]), tmp_path):
            pass
        assert [options["num_gpus"] for options in asked] == [0]

    def test_a_joined_cluster_is_asked_what_it_has(self) -> None:
        config = load([], ["cluster.address=auto"])
        assert on_gpus(config, {"CPU": 8.0, "GPU": 16.0})
        assert not on_gpus(config, {"CPU": 8.0})

    @pytest.mark.parametrize("counted_on", ["rollout.gpus_per_replica=1", "cluster.gpu=H100-80GB"])
    def test_gpus_that_the_configuration_counts_on_may_come_later(self, counted_on: str) -> None:
        config = load([], ["cluster.address=auto", counted_on])
        assert on_gpus(config, {"CPU": 8.0})


@pytest.mark.usefixtures("usable")
class TestWhereThereAreCards:
    def test_ray_counts_them_and_all_use_them(self) -> None:
        assert own_gpus() is None
        assert on_gpus(Config(), {"GPU": 1.0})
        assert ranks_on_gpus(Config(), gpu=True)
        assert not ranks_on_gpus(Config(), gpu=False)

    def test_ranks_that_ask_for_none_compute_on_cores(self) -> None:
        assert not ranks_on_gpus(load([], ["cluster.learner_gpus=0"]), gpu=True)
