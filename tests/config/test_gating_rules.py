"""What gating, lengths and seeding may not be set to."""

from __future__ import annotations

import pytest

from azr.config.load import load
from azr.config.rules import problems
from azr.errors import ConfigError


def told(*overrides: str) -> str:
    with pytest.raises(ConfigError) as error:
        load([], overrides)
    return str(error.value)


@pytest.mark.parametrize(
    "override",
    [
        "gating.duplicate_by=inputs",
        "gating.equality=close",
        "gating.induction_inputs=1",
        "gating.probes=0",
        "lengths.output=0",
        "lengths.prompt=0",
        "lengths.content=0",
        "lengths.response=-1",
        "seeding.triplets=0",
        "seeding.inductions=-1",
        "seeding.batch=0",
        "seeding.stall_batches=0",
    ],
)
def test_a_value_that_makes_no_sense_is_told_by_its_key(override: str) -> None:
    assert f"{override.partition('=')[0]}: " in told(override)


@pytest.mark.parametrize("no_proposals", ["algorithm.game.train_propose=false", "algorithm.batch.propose=0"])
def test_solvers_alone_need_seeds_which_the_model_does_not_make_of_every_type(no_proposals: str) -> None:
    alone = [no_proposals, "algorithm.game.task_types=[error]"]
    assert "seeding.file: solvers are alone, and the model makes no seeds of error for them" in told(*alone)
    load([], [*alone, "seeding.file=errors.jsonl"])
    load([], alone[:1])
    load([], alone[1:])


@pytest.mark.parametrize("shown", [0, 4, 5])
def test_an_induction_task_shows_something_and_hides_something(shown: int) -> None:
    assert f"gating.induction_shown: {shown} of 4 pairs are shown" in told(
        "gating.induction_inputs=4", f"gating.induction_shown={shown}"
    )
    load([], ["gating.induction_inputs=4", "gating.induction_shown=3"])


def test_the_guest_has_as_many_interpreters_as_may_be_asked_for() -> None:
    assert "sandbox.backend: process" in told("gating.probes=3")
    assert problems(load([], ["gating.probes=3", "sandbox.backend=process"])) == []


def test_seeding_without_induction_is_no_mistake() -> None:
    load([], ["seeding.inductions=0"])
