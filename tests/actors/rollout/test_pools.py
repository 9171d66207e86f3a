"""Who answers which role, with how many replicas, and what each asks of Ray."""

from __future__ import annotations

from typing import Any

import pytest

from actors.engine.settings import EngineSettings
from actors.rollout.deployment import pool_for, pools_of, resources_of
from azr.config.sections.rollout import RolloutConfig
from azr.config.sections.weights import WeightsConfig


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
