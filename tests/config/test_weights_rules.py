"""What the way of weights may not be set to."""

from __future__ import annotations

from typing import Any

import pytest

from azr.config.root import Config
from azr.config.rules import problems


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
