"""What engines and ranks ask of Ray: refused by key where it can never have it, else told beside what it has."""

from __future__ import annotations

import json

import pytest
from ray.autoscaler._private.util import format_readonly_node_type

from actors.engine.settings import EngineSettings
from azr.config import load
from azr.config.root import Config
from azr.errors import AzrError
from azr.run import shares
from azr.run.shares import Asked, may_grow


def asked(config: Config, *, gpu: bool = True, ranks: int = 1) -> Asked:
    settings = EngineSettings.of("model", config.rollout, config.weights, gpu=gpu)
    return Asked(config, settings, ranks=ranks, clock=iter(range(0, 1000, 10)).__next__)


def require(config: Config, *, cards: float, cores: float = 8.0, gpu: bool = True, ranks: int = 1) -> None:
    resources = {"CPU": cores, "GPU": cards} if cards else {"CPU": cores}
    asked(config, gpu=gpu, ranks=ranks).require(resources)


class TestInARayOfItsOwn:
    def test_a_card_for_each_rank_and_each_engine_is_enough_and_one_less_is_refused_by_the_keys(self) -> None:
        config = load([], ["learner.ranks=2", "rollout.replicas=3", "rollout.tensor_parallel=2"])
        require(config, cards=8, ranks=2)
        with pytest.raises(AzrError) as refused:
            require(config, cards=7, ranks=2)
        assert refused.value.what == (
            "8 GPUs are asked for and 7 can be used here: 2 x 1 by the learner (learner.ranks, cluster.learner_gpus) "
            "and 3 x 2 by engines (rollout.replicas, rollout.gpus_per_replica)"
        )
        assert "azr doctor" in refused.value.mend

    def test_engines_that_stand_by_in_each_of_two_pools_take_cards_too(self) -> None:
        config = load([], ["rollout.separate_roles=true", "rollout.proposer_replicas=2", "rollout.standby=1"])
        require(config, cards=6)  # 1 rank, 2 that propose, 1 that solves, and one more of each
        with pytest.raises(AzrError, match="6 GPUs are asked for and 5"):
            require(config, cards=5)

    def test_fractions_share_a_card(self) -> None:
        thirds = ["cluster.learner_gpus=0.3333334", "rollout.gpus_per_replica=0.3333333", "rollout.kv_cache_mb=64"]
        config = load([], ["rollout.replicas=2", *thirds])
        require(config, cards=1, ranks=1)
        with pytest.raises(AzrError, match="are asked for and 1"):
            require(config, cards=1, ranks=2)

    def test_engines_alone_leave_the_learner_out(self) -> None:
        require(Config(), cards=1, ranks=0)
        with pytest.raises(AzrError, match="2 GPUs are asked for and 1"):
            require(Config(), cards=1)

    def test_ranks_on_cores_ask_for_no_card(self) -> None:
        require(load([], ["cluster.learner_gpus=0"]), cards=1)

    def test_without_cards_the_default_asks_for_none_and_an_engine_that_does_is_refused(self) -> None:
        require(load(["tiny"]), cards=0, gpu=False)
        with pytest.raises(AzrError, match=r"^0\.5 GPUs are asked for and 0 can be used here: 1 x 0\.5 by engines"):
            require(load(["tiny"], ["rollout.gpus_per_replica=0.5", "rollout.kv_cache_mb=64"]), cards=0, gpu=False)

    def test_cores_are_counted_as_cards_are_and_ranks_on_cards_ask_for_theirs_too(self) -> None:
        config = load([], ["learner.ranks=2", "rollout.cpus_per_replica=1.5"])
        for gpu, cards in ((False, 0), (True, 3)):
            require(config, cards=cards, cores=3.5, gpu=gpu, ranks=2)
            with pytest.raises(AzrError) as refused:
                require(config, cards=cards, cores=3, gpu=gpu, ranks=2)
            assert refused.value.what == (
                "3.5 CPUs are asked for and 3 can be used here (cluster.cpus): "
                "2 x 1 by the learner (learner.ranks, cluster.learner_cpus) "
                "and 1 x 1.5 by engines (rollout.replicas, rollout.cpus_per_replica)"
            )

    def test_nothing_of_it_is_told_and_ray_is_not_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ray.cluster_resources", lambda: pytest.fail("Ray was asked"))
        assert asked(Config()).beside() == ""


class TestInAClusterThatWasJoined:
    @pytest.fixture
    def config(self) -> Config:
        return load([], ["cluster.address=auto", "learner.ranks=2", "rollout.replicas=3"])

    @pytest.fixture
    def have(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
        """What the cluster has in all, and nobody adds to."""
        resources = {"CPU": 8.0, "GPU": 4.0}
        monkeypatch.setattr(shares, "may_grow", lambda: False)
        monkeypatch.setattr("ray.cluster_resources", lambda: resources)
        monkeypatch.setattr("ray.available_resources", dict)
        return resources

    def test_what_it_lacks_is_waited_for_a_minute_and_then_refused(
        self, config: Config, have: dict[str, float]
    ) -> None:
        require(config, cards=4, ranks=2)
        waiting = asked(config, ranks=2)
        for left in range(60, 0, -10):
            assert waiting.beside().endswith(f"0 of 4 GPUs, 0 of 8 CPUs; nodes have to be added within {left} s)")
        with pytest.raises(AzrError, match=r"5 GPUs are asked for and 4 are in the cluster: 2 x 1 .* and 3 x") as told:
            waiting.beside()
        assert told.value.mend.startswith("add nodes to it, or ask for fewer, or for fractions")

    def test_engines_that_stand_by_are_done_without(self, have: dict[str, float]) -> None:
        """The run would have all that it needs, and be refused or not by how fast its engines load."""
        words = ["cluster.address=auto", "learner.ranks=2", "rollout.replicas=2", "rollout.standby=1"]
        waiting = asked(load([], words), ranks=2)
        for _ in range(10):
            assert waiting.beside().endswith("0 of 8 CPUs; no room for all that stand by)")

    def test_so_are_cores(self, config: Config, have: dict[str, float]) -> None:
        have |= {"GPU": 5.0, "CPU": 1.0}
        waiting = asked(config, ranks=2)
        for _ in range(6):
            assert "nodes have to be added" in waiting.beside()
        with pytest.raises(AzrError, match="2 CPUs are asked for and 1 are in the cluster"):
            waiting.beside()

    def test_a_node_that_is_back_in_time_is_a_new_minute_for_the_next(
        self, config: Config, have: dict[str, float]
    ) -> None:
        waiting = asked(config, ranks=2)
        for cards, left in ((4, 60), (4, 50), (4, 40), (5, 0), (5, 0), (4, 60), (4, 50), (4, 40), (4, 30)):
            have["GPU"] = cards
            told = f"; nodes have to be added within {left} s)" if left else ", 0 of 8 CPUs)"
            assert waiting.beside().endswith(told)

    def test_what_an_autoscaler_may_bring_is_waited_for(
        self, config: Config, have: dict[str, float], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shares, "may_grow", lambda: True)
        have |= {"GPU": 0.0, "CPU": 1.0}
        waiting = asked(config, ranks=2)
        for _ in range(99):
            assert waiting.beside().endswith("; nodes have to be added, as an autoscaler may)")

    def test_what_is_asked_for_is_told_beside_what_is_there_and_free(
        self, config: Config, have: dict[str, float], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        have |= {"CPU": 16.0, "GPU": 5.0, "memory": 1e9}
        monkeypatch.setattr("ray.available_resources", lambda: {"CPU": 3.5})
        beside = asked(config, ranks=2)
        assert beside.beside() == (
            " (asked of Ray: 2 x 1 GPU and 1 CPU by the learner, 3 x 1 GPU by engines; "
            "free in the cluster: 0 of 5 GPUs, 3.5 of 16 CPUs)"
        )

    def test_engines_on_cores_that_ask_for_nothing_have_nothing_told(self, config: Config) -> None:
        assert asked(config, gpu=False, ranks=0).beside() == ""

    def test_ray_is_asked_seldom(self, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
        questions: list[str] = []

        def resources() -> dict[str, float]:
            questions.append("what is there?")
            return {}

        monkeypatch.setattr(shares, "may_grow", lambda: True)
        monkeypatch.setattr("ray.cluster_resources", resources)
        monkeypatch.setattr("ray.available_resources", dict)
        settings = EngineSettings.of("model", config.rollout, config.weights, gpu=True)
        beside = Asked(config, settings, ranks=2, clock=iter([0.0, 0.2, 1.9, 2.1]).__next__)
        assert len({beside.beside() for _ in range(4)}) == 1
        assert len(questions) == 2


class TestWhetherAClusterMayGrow:
    """As Ray's monitor tells of its nodes."""

    @pytest.fixture(autouse=True)
    def unmanaged(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ray._private.state.state.get_cluster_config", lambda: None)

    def _told(self, monkeypatch: pytest.MonkeyPatch, *kinds: str) -> None:
        told = {"autoscaler_report": {"active_nodes": dict.fromkeys(kinds, 1)}}
        monkeypatch.setattr("ray.experimental.internal_kv._internal_kv_get", lambda _key: json.dumps(told).encode())

    def test_one_that_was_put_together_by_hand_does_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._told(monkeypatch, *(format_readonly_node_type(byte * 28) for byte in ("0c", "f1")))
        assert not may_grow()

    def test_one_whose_nodes_an_autoscaler_calls_by_their_kind_does(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._told(monkeypatch, "ray.head.default", "node_gpu")
        assert may_grow()

    def test_what_is_not_known_counts_as_yes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._told(monkeypatch)
        assert may_grow()
        for told in (None, b"{}"):
            monkeypatch.setattr("ray.experimental.internal_kv._internal_kv_get", lambda _key, told=told: told)
            assert may_grow()

    def test_who_manages_it_otherwise_has_left_a_configuration(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._told(monkeypatch, format_readonly_node_type("0c" * 28))
        monkeypatch.setattr("ray._private.state.state.get_cluster_config", object)
        assert may_grow()
