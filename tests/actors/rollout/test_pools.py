"""Who answers which role, with how many replicas, and what each asks of Ray."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from actors.engine.settings import EngineSettings
from actors.rollout.deployment import Rollouts, pool_for, pools_of, resources_of
from actors.weights.records import Member
from azr.config.sections.rollout import RolloutConfig
from azr.config.sections.weights import WeightsConfig
from azr.errors import AzrError


def settings(*, gpu: bool = False, **rollout: Any) -> EngineSettings:
    return EngineSettings.of("model", RolloutConfig(**rollout), WeightsConfig(), gpu=gpu)


def test_both_roles_share_one_pool() -> None:
    shared = settings(replicas=3)
    assert pools_of(shared) == {"shared": 3}
    assert {pool_for(shared, role) for role in ("propose", "solve")} == {"shared"}


def test_separate_roles_have_a_pool_each() -> None:
    separate = settings(replicas=3, proposer_replicas=2, separate_roles=True)
    assert pools_of(separate) == {"propose": 2, "solve": 3}
    assert [pool_for(separate, role) for role in ("propose", "solve")] == ["propose", "solve"]


@pytest.mark.parametrize(
    ("gpu", "rollout", "cpus", "gpus"),
    [
        (False, {}, 0.0, 0.0),
        (False, {"cpus_per_replica": 2.0}, 2.0, 0.0),
        (True, {}, 0.0, 1.0),
        (True, {"tensor_parallel": 4}, 0.0, 4.0),
        (True, {"gpus_per_replica": 0.5}, 0.0, 0.5),
        (True, {"tensor_parallel": 2, "gpus_per_replica": 0.0}, 0.0, 0.0),
    ],
)
def test_a_replica_asks_for_all_cards_of_its_engine_unless_told_otherwise(
    gpu: bool, rollout: dict[str, Any], cpus: float, gpus: float
) -> None:
    assert resources_of(settings(gpu=gpu, **rollout)) == {"num_cpus": cpus, "num_gpus": gpus}


class TestEnginesThatCannotBeMade:
    """How many fail before it is clear that the next would too."""

    def _fail(self, monkeypatch: pytest.MonkeyPatch, rollouts: Rollouts, **failures: int) -> None:
        """So many of a pool were lost because no engine could be made, and one of each because it was killed."""
        lost = [
            Member(
                name=f"{pool}-{number}",
                pool=pool,
                state="lost",
                unmade=True,
                why=f"{pool}-{number}: no engine: no room",
            )
            for pool, count in failures.items()
            for number in range(count)
        ]
        killed = [Member(name=pool, pool=pool, state="lost", why="its process ended") for pool in failures]
        monkeypatch.setattr(rollouts, "lost", lambda: lost + killed)
        rollouts.require_makeable()

    def test_one_more_than_the_pool_wants_so_that_one_place_was_tried_twice(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rollouts = Rollouts("pools", settings(replicas=2), Path("weights"))
        self._fail(monkeypatch, rollouts, shared=2)
        with pytest.raises(AzrError, match=r"^3 times no engine could be made: no room\n.*in its replica's log"):
            self._fail(monkeypatch, rollouts, shared=3)

    def test_a_standby_is_a_place_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rollouts = Rollouts("pools", settings(replicas=1, standby=1), Path("weights"))
        self._fail(monkeypatch, rollouts, shared=2)
        with pytest.raises(AzrError, match=r"^3 times no engine could be made"):
            self._fail(monkeypatch, rollouts, shared=3)

    def test_that_serve_starts_no_more_is_told_with_why_the_last_was_lost(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ray.is_initialized", lambda: True)
        given_up = SimpleNamespace(
            status="DEPLOY_FAILED", message="Traceback …\n  ImportError: no module", deployments={}
        )
        monkeypatch.setattr(
            "ray.serve.status", lambda: SimpleNamespace(applications={"pools-shared": given_up, "other": None})
        )
        rollouts = Rollouts("pools", settings(), Path("weights"))
        with pytest.raises(AzrError, match=r"^Ray Serve starts no more engines.*: its process ended\n"):
            self._fail(monkeypatch, rollouts, shared=0)
        rollouts = Rollouts("pools", settings(), Path("weights"))
        monkeypatch.setattr(rollouts, "lost", list)
        with pytest.raises(AzrError, match=r"so many have failed: Traceback … ImportError: no module\n"):
            rollouts.require_makeable()

    @pytest.mark.parametrize(
        ("trigger", "given_up"), [("HEALTH_CHECK_FAILED", False), ("REPLICA_STARTUP_FAILED", True)]
    )
    def test_a_replica_that_was_killed_before_all_had_stood_is_made_anew(
        self, monkeypatch: pytest.MonkeyPatch, trigger: str, given_up: bool
    ) -> None:
        """Serve calls both failed; asked of its own state machine."""
        from ray.serve._private.common import (
            DeploymentStatus,
            DeploymentStatusInfo,
            DeploymentStatusInternalTrigger,
            DeploymentStatusTrigger,
        )

        starting = DeploymentStatusInfo(
            "replicas", DeploymentStatus.UPDATING, DeploymentStatusTrigger.CONFIG_UPDATE_STARTED
        )
        failed = starting.handle_transition(trigger=DeploymentStatusInternalTrigger(trigger), message="it died")
        application = SimpleNamespace(status="DEPLOY_FAILED", message="it died", deployments={"replicas": failed})
        monkeypatch.setattr("ray.is_initialized", lambda: True)
        monkeypatch.setattr("ray.serve.status", lambda: SimpleNamespace(applications={"pools-shared": application}))
        rollouts = Rollouts("pools", settings(), Path("weights"))
        monkeypatch.setattr(rollouts, "lost", list)
        with pytest.raises(AzrError, match="starts no more engines") if given_up else contextlib.nullcontext():
            rollouts.require_makeable()

    def test_but_no_more_than_eight_of_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rollouts = Rollouts("pools", settings(replicas=100), Path("weights"))
        self._fail(monkeypatch, rollouts, shared=7)
        with pytest.raises(AzrError, match=r"^8 times no engine could be made"):
            self._fail(monkeypatch, rollouts, shared=8)

    def test_each_pool_by_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rollouts = Rollouts("pools", settings(replicas=2, proposer_replicas=2, separate_roles=True), Path("weights"))
        self._fail(monkeypatch, rollouts, propose=2, solve=2)
        with pytest.raises(AzrError, match=r"^3 times no engine could be made"):
            self._fail(monkeypatch, rollouts, propose=2, solve=3)

    def test_it_is_looked_at_while_they_are_waited_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rollouts = Rollouts("pools", settings(), Path("weights"))
        monkeypatch.setattr(rollouts, "members", list)
        monkeypatch.setattr(rollouts, "lost", lambda: [Member(name=name, unmade=True) for name in "ab"])
        with pytest.raises(AzrError, match=r"^2 times no engine could be made"):
            rollouts.wait()
