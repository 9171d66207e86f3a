"""Whether a run computes on GPUs is one answer for Ray, engines and learner; too few of them are refused by key."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from actors.engine.settings import EngineSettings
from azr.config import load
from azr.config.root import Config
from azr.errors import AzrError
from azr.run import gpus, local_ray
from azr.run.gpus import on_gpus, own_gpus, ranks_on_gpus, require_gpus
from azr.run.local_ray import ray_of


@pytest.fixture
def usable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with cards and an environment built for them."""
    monkeypatch.setattr(gpus, "has_gpu", lambda: True)


def require(config: Config, *, cards: float, gpu: bool = True, ranks: int = 1) -> None:
    settings = EngineSettings.of("model", config.rollout, config.weights, gpu=gpu)
    require_gpus(config, settings, {"CPU": 8.0, "GPU": cards} if cards else {"CPU": 8.0}, ranks=ranks)


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

    def test_gpus_that_the_configuration_counts_on_may_come_later(self) -> None:
        config = load([], ["cluster.address=auto", "rollout.gpus_per_replica=1"])
        assert on_gpus(config, {"CPU": 8.0})
        require(config, cards=0)

    def test_the_default_asks_for_none_and_an_engine_that_does_is_refused(self) -> None:
        require(load(["tiny"]), cards=0, gpu=False)
        with pytest.raises(AzrError, match=r"^0\.5 GPUs are asked for and 0 can be used here: 1 x 0\.5 by engines"):
            require(load(["tiny"], ["rollout.gpus_per_replica=0.5", "rollout.kv_cache_mb=64"]), cards=0, gpu=False)


@pytest.mark.usefixtures("usable")
class TestWhereThereAreCards:
    def test_ray_counts_them_and_all_use_them(self) -> None:
        assert own_gpus() is None
        assert on_gpus(Config(), {"GPU": 1.0})
        assert ranks_on_gpus(Config(), gpu=True)
        assert not ranks_on_gpus(Config(), gpu=False)

    def test_ranks_that_ask_for_none_compute_on_cores(self) -> None:
        config = load([], ["cluster.learner_gpus=0"])
        assert not ranks_on_gpus(config, gpu=True)
        require(config, cards=1)

    def test_a_card_for_each_rank_and_each_engine_is_enough_and_one_less_is_refused_by_the_keys(self) -> None:
        config = load([], ["learner.ranks=2", "rollout.replicas=3", "rollout.tensor_parallel=2"])
        require(config, cards=8, ranks=2)
        with pytest.raises(AzrError) as refused:
            require(config, cards=7, ranks=2)
        assert refused.value.what == (
            "8 GPUs are asked for and 7 can be used here: 2 x 1 by the learner (learner.ranks, cluster.learner_gpus) "
            "and 3 x 2 by engines (rollout.replicas, rollout.standby, rollout.gpus_per_replica)"
        )
        assert "azr doctor" in refused.value.mend

    def test_engines_that_stand_by_in_each_of_two_pools_take_cards_too(self) -> None:
        config = load([], ["rollout.separate_roles=true", "rollout.proposer_replicas=2", "rollout.standby=1"])
        require(config, cards=6)  # 1 rank, 2 that propose, 1 that solves, and one more of each
        with pytest.raises(AzrError, match="6 GPUs are asked for and 5"):
            require(config, cards=5)

    def test_fractions_share_a_card(self) -> None:
        shares = ["cluster.learner_gpus=0.3333334", "rollout.gpus_per_replica=0.3333333", "rollout.kv_cache_mb=64"]
        config = load([], ["learner.ranks=2", *shares])
        require(config, cards=1, ranks=2)
        with pytest.raises(AzrError, match="are asked for and 1"):
            require(config, cards=1, ranks=3)

    def test_engines_alone_leave_the_learner_out(self) -> None:
        require(Config(), cards=1, ranks=0)
        with pytest.raises(AzrError, match="2 GPUs are asked for and 1"):
            require(Config(), cards=1)
