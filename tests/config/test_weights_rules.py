"""What the way of weights may not be set to."""

from __future__ import annotations

from typing import Any

import pytest

from azr.config.load import load
from azr.config.root import Config
from azr.config.rules import problems
from azr.errors import ConfigError

#: Learner and engine on one card.
SHARED = ["cluster.learner_gpus=0.5", "rollout.gpus_per_replica=0.5", "rollout.kv_cache_mb=64"]


def keys(max_staleness: int = 4, **values: object) -> list[str]:
    config = Config()
    config.staleness.max_staleness = max_staleness
    for name, value in values.items():
        assert hasattr(config.weights, name)
        setattr(config.weights, name, value)
    return [problem.key for problem in problems(config) if problem.key.startswith("weights.")]


def test_the_defaults_may_run() -> None:
    assert keys() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kv_on_update", "forget"),
        ("publish_every", 0),
        ("keep_versions", 0),
        ("stage_seconds", 0.0),
        ("pause_seconds", float("nan")),
        ("apply_seconds", -1.0),
        ("publish_seconds", 0.0),
    ],
)
def test_what_is_out_of_range_is_named(name: str, value: Any) -> None:
    assert keys(**{name: value}) == [f"weights.{name}"]


@pytest.mark.parametrize(("max_staleness", "most"), [(0, 1), (1, 1), (4, 4), (16, 16)])
def test_weights_are_published_before_everything_is_too_old_to_be_trained_on(max_staleness: int, most: int) -> None:
    assert keys(max_staleness, publish_every=most) == []
    assert keys(max_staleness, publish_every=most + 1) == ["weights.publish_every"]


def test_ipc_is_refused_where_the_learner_has_more_ranks_than_one() -> None:
    with pytest.raises(ConfigError, match=r"weights\.transport: ipc serves one learner rank, not 2.*use shm or nccl"):
        load([], ["weights.transport=ipc", "learner.ranks=2"])
    assert load([], ["weights.transport=ipc", *SHARED]).learner.ranks == 1


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["cluster.learner_gpus=0", "rollout.gpus_per_replica=0.5"],
        ["cluster.learner_gpus=0.5", "rollout.gpus_per_replica=1"],
        [*SHARED, "rollout.replicas=2"],
        [*SHARED, "rollout.standby=1"],
        [*SHARED, "rollout.tensor_parallel=2"],
    ],
)
def test_ipc_is_refused_where_learner_and_engines_do_not_share_one_card(overrides: list[str]) -> None:
    """Every version would tear every engine, and be healed by its file without a word."""
    with pytest.raises(
        ConfigError, match=r"weights\.transport: ipc hands weights over inside one card, .*0\.5 and 0\.5"
    ):
        load([], ["weights.transport=ipc", *overrides])


def test_ipc_may_be_asked_for_by_fractions_that_add_up_to_a_card() -> None:
    parts = [
        "cluster.learner_gpus=0.4",
        "rollout.gpus_per_replica=0.2",
        "rollout.replicas=3",
        "rollout.kv_cache_mb=64",
    ]
    assert load([], ["weights.transport=ipc", *parts]).rollout.replicas == 3
