"""What the task buffers may not be set to."""

from __future__ import annotations

import pytest

from azr.config.root import Config
from azr.config.rules import problems


def keys(**values: object) -> list[str]:
    config = Config()
    for name, value in values.items():
        assert hasattr(config.buffers, name)
        setattr(config.buffers, name, value)
    return [problem.key for problem in problems(config)]


def test_the_defaults_may_run() -> None:
    assert keys() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("selection", "oldest"),
        ("capacity", 0),
        ("new_steps", -1),
        ("rest_steps", -1),
        ("out_steps", -1),
        ("reference_pool", 0),
        ("age_half_life", 0.0),
        ("reference_half_life", -1.0),
        ("reference_floor", -0.1),
        ("reference_floor", 1.1),
        ("reference_floor", float("nan")),
        ("novelty_exponent", -0.5),
        ("novelty_exponent", float("inf")),
        ("visit_exponent", -0.5),
        ("visit_exponent", float("nan")),
    ],
)
def test_each_key_has_its_range(name: str, value: object) -> None:
    assert f"buffers.{name}" in keys(**{name: value})


def test_weights_may_be_put_out_and_the_oldest_task_may_weigh_as_much_as_the_newest() -> None:
    assert keys(novelty_exponent=0.0, visit_exponent=0.0, reference_floor=0.0) == []
    assert keys(reference_floor=1.0) == []


def test_a_task_that_rests_until_it_is_new_no_more_would_never_come_first() -> None:
    assert keys(rest_steps=2, new_steps=1) == ["buffers.rest_steps"]
    assert keys(rest_steps=2, new_steps=2) == []


def test_nor_does_one_whose_age_jumps_past_that_from_one_publication_to_the_next() -> None:
    def of(publish_every: int, selection: str = "uniform", **values: int) -> list[str]:
        config = Config()
        config.buffers.selection = selection
        config.staleness.max_staleness, config.weights.publish_every = 8, publish_every
        config.buffers.rest_steps, config.buffers.new_steps = values["rest_steps"], values["new_steps"]
        return [problem.key for problem in problems(config)]

    assert of(4, rest_steps=1, new_steps=3) == ["buffers.new_steps"]
    assert of(4, rest_steps=1, new_steps=4) == []
    assert of(4, rest_steps=5, new_steps=7) == ["buffers.new_steps"]
    assert of(4, "learnability", rest_steps=1, new_steps=3) == [], "what nobody has rated comes first at any age"
    assert of(4, rest_steps=0, new_steps=1) == [], "a task that does not rest is drawn before its age is told"
