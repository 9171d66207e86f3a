"""The plan says what will be started, how large a step is, how old data may get, and when it ends."""

from __future__ import annotations

import pytest

from azr.config import load
from azr.run.plan import plan_lines


def told(*overrides: str, config: str = "tiny") -> dict[str, str]:
    return {line[:12].strip(): line[13:] for line in plan_lines(load([config], overrides))}


def test_the_embedded_default() -> None:
    plan = told()
    assert plan["model"] == "tiny, frame compact"
    assert plan["batch"].startswith("420 sequences a step: deduction/propose 12, deduction/solve 128, ")
    assert plan["ends"] == "after 10 minutes"
    assert plan["evaluation"] == "suite tiny, 100 tasks of each type, before and after"
    assert plan["seeds"] == "made by the model: 64 triplets, 64 inductions"


def test_seeds_are_planned_for_the_types_in_play() -> None:
    assert told("ablation=deduction_only")["seeds"] == "made by the model: 64 triplets"
    assert told("algorithm.game.task_types=[error]")["seeds"].startswith("none: ")
    assert told("algorithm.game.task_types=[error]", "seeding.file=some.jsonl")["seeds"] == "some.jsonl"


def test_the_staleness_bound_and_what_it_lets_in() -> None:
    plan = told("staleness.max_staleness=2")
    assert plan["staleness"] == "at most 2 steps between a sample's oldest token and the step that trains on it"
    assert "deduction/propose 36, deduction/solve 384" in plan["queues"], "three batches of 12 and of 128"


def test_no_staleness_is_the_synchronous_system() -> None:
    plan = told("staleness.max_staleness=0")
    assert plan["staleness"].startswith("0 steps: synchronous")
    assert "deduction/solve 128" in plan["queues"]


def test_the_published_algorithm() -> None:
    plan = told("algorithm=paper")
    assert plan["loss"].startswith("decoupled_ppo, weight none, 1 update a step, lr 1e-06")
    assert plan["rating"] == "8 attempts at each accepted task, thrown away"


@pytest.mark.parametrize(
    ("overrides", "ends"),
    [
        (("run.minutes=0",), "when it is told to (Ctrl-C)"),
        (("run.minutes=0", "run.steps=5"), "after 5 steps"),
        (("run.steps=5",), "after 5 steps or 10 minutes"),
    ],
)
def test_when_it_ends(overrides: tuple[str, ...], ends: str) -> None:
    assert told(*overrides)["ends"] == ends


def test_one_of_a_kind_is_told_as_one() -> None:
    plan = told("actors.solvers=2")
    assert plan["players"].startswith("1 proposer of 32 lanes, 2 solvers of 32; 1 sandbox worker each")
    assert plan["learner"].startswith("1 rank, ")


def test_without_proposers_none_are_planned() -> None:
    assert told("ablation=solver_only")["players"].startswith("0 proposers of")


def test_a_cluster_and_standbys_are_named() -> None:
    plan = told("cluster.address=auto", "rollout.replicas=2", "rollout.standby=1")
    assert plan["cluster"] == "joins auto"
    assert plan["engines"].startswith("2 and 1 standing by, ")


@pytest.mark.parametrize(
    ("overrides", "engines"),
    [
        ((), "1"),
        (("rollout.max_replicas=4",), "1 (up to 4)"),
        (("rollout.max_replicas=4", "rollout.standby=1"), "1 (up to 4) and 1 standing by"),
        (("rollout.separate_roles=true", "rollout.proposer_replicas=2"), "2 for proposing and 1 for solving"),
        (
            ("rollout.separate_roles=true", "rollout.max_replicas=3", "rollout.standby=2"),
            "1 for proposing and 1 (up to 3) for solving and 2 each standing by",
        ),
    ],
)
def test_engines_of_both_roles_and_those_that_may_be_added_are_named(overrides: tuple[str, ...], engines: str) -> None:
    assert told(*overrides)["engines"].startswith(f"{engines}, auto, ")


def test_what_players_keep_under_way_is_held_against_the_places_of_the_engines() -> None:
    """32 proposals and 32 groups of eight attempts, for an engine of 128 responses at a time."""
    assert told()["filling"] == "up to 288 responses under way, 128 places in the engines"
    idle = told("rollout.replicas=4")["filling"]
    assert idle.startswith("up to 288 responses under way, 512 places in the engines; more lanes would fill them")


def test_groups_of_one_attempt_fill_little() -> None:
    filling = told("algorithm=paper", "rollout.max_sequences=128")["filling"]
    assert filling.startswith("up to 64 responses under way, 128 places in the engines; more lanes")
