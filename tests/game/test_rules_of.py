"""From a configuration to the rules of gate, verifier and seeding: the same numbers, declared once and told once."""

from __future__ import annotations

from typing import get_args

import msgspec
import numpy as np
import pytest

from azr.config import Config, load
from azr.config.sections import gating_rules
from azr.game.gate import PROBES, GateRules, probes_of
from azr.game.identity import DuplicateBy
from azr.game.seeding import TRIPLET_TYPES, Seeding, SeedingSettings, SeedingState
from azr.game.types import Task
from azr.game.verification import Equality, VerifyRules
from sandbox_wasm.protocol import FUEL_PER_SECOND, Limits


def fields(rules: msgspec.Struct) -> dict[str, object]:
    """All but `known`, a function."""
    return {name: getattr(rules, name) for name in rules.__struct_fields__ if name != "known"}


def test_rules_without_a_configuration_are_those_of_the_default_one() -> None:
    assert fields(GateRules.of(Config())) == fields(GateRules())
    assert VerifyRules.of(Config()) == VerifyRules()
    assert SeedingSettings.of(Config()) == SeedingSettings()


def test_choices_are_the_same_on_both_sides() -> None:
    assert get_args(DuplicateBy) == gating_rules.DUPLICATE_BY
    assert get_args(Equality) == gating_rules.EQUALITIES
    assert (*TRIPLET_TYPES, "induction") == gating_rules.SEEDED


def test_the_published_numbers() -> None:
    rules = GateRules.of(load([], ["algorithm=paper"]))
    assert (rules.induction_inputs, rules.induction_shown, len(rules.probes)) == (10, 5, 2)
    assert (rules.max_output_length, rules.max_prompt_length) == (400, 6144)
    settings = SeedingSettings.of(load([], ["algorithm=paper"]))
    assert (settings.triplets, settings.inductions, settings.batch) == (256, 256, 64)
    assert (settings.references, settings.max_prompt_length) == (6, 5600)


def test_no_output_may_be_longer_than_a_response_as_the_model_counts_both() -> None:
    """A response holds its end besides. Characters say nothing of it: there output is what is configured."""
    config = load(["tiny"], ["algorithm=paper"])
    assert (config.lengths.output, config.lengths.response) == (400, 128)
    assert GateRules.of(config, length=lambda text: len(text.split())).max_output_length == 127
    assert GateRules.of(config).max_output_length == 400
    assert GateRules.of(Config(), length=lambda text: len(text.split())).max_output_length == 2000


def test_every_key_reaches_the_rules() -> None:
    config = load(
        [],
        [
            "gating.induction_inputs=6",
            "gating.induction_shown=2",
            "gating.probes=1",
            "gating.duplicate_by=program",
            "gating.equality=exact",
            "lengths.output=7",
            "lengths.prompt=8",
            "lengths.content=9",
            "seeding.triplets=10",
            "seeding.inductions=11",
            "seeding.batch=12",
            "seeding.stall_batches=13",
            "algorithm.game.references=3",
            "sandbox.timeout_seconds=0.5",
            "sandbox.wall_seconds=4",
            "sandbox.memory_mb=128",
            "sandbox.output_kb=2",
        ],
    )
    limits = Limits(fuel=FUEL_PER_SECOND // 2, wall_seconds=4.0, memory_bytes=128 << 20, output_bytes=2048)
    assert fields(GateRules.of(config)) == fields(
        GateRules(
            limits=limits,
            probes=PROBES[:1],
            max_output_length=7,
            max_prompt_length=8,
            duplicate_by="program",
            induction_inputs=6,
            induction_shown=2,
        )
    )
    assert VerifyRules.of(config) == VerifyRules(limits=limits, equality="exact")
    settings = SeedingSettings(
        triplets=10,
        inductions=11,
        batch=12,
        induction_inputs=6,
        stall_batches=13,
        duplicate_by="program",
        references=3,
        max_prompt_length=9,
    )
    assert SeedingSettings.of(config) == settings
    assert Seeding.of(config, SeedingState([], []), np.random.default_rng(0)).settings == settings


@pytest.mark.parametrize(
    ("types", "wanted"),
    [
        ("abduction,deduction,induction", (256, 256, ("deduction", "abduction"))),
        ("deduction", (256, 0, ("deduction",))),
        ("induction", (256, 256, ("deduction", "abduction"))),
        ("composite,abduction", (256, 0, ("abduction",))),
        ("error", (0, 0, ("deduction", "abduction"))),
    ],
)
def test_seeds_are_wanted_for_the_types_in_play(types: str, wanted: tuple[int, int, tuple[str, ...]]) -> None:
    settings = SeedingSettings.of(load([], [f"algorithm.game.task_types=[{types}]"]))
    assert (settings.triplets, settings.inductions, settings.triplet_types) == wanted
    assert settings.wants_any == any(wanted[:2])


def test_what_only_the_caller_knows_is_passed_on() -> None:
    measure = lambda task: len(task.program)  # noqa: E731
    known = {"mark"}.__contains__
    reads = lambda task: task.program == "abc"  # noqa: E731
    rules = GateRules.of(
        Config(),
        length=lambda _text: 3,
        prompt_length=measure,
        reads_back=reads,
        control_texts=("<|end|>",),
        known=known,
        held_out={"form"},
    )
    assert rules.control_texts == ("<|end|>",)
    assert rules.held_out == {"form"}
    task = Task(id="", task_type="", program="abc", inputs=(), outputs=())
    assert (rules.length("x"), rules.known("mark"), rules.known("other")) == (3, True, False)
    assert rules.prompt_length is not None
    assert rules.prompt_length(task) == 3
    assert rules.reads_back is not None
    assert rules.reads_back(task)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_probes_differ_in_all_that_a_program_could_draw_on(count: int) -> None:
    probes = probes_of(count)
    assert len(probes) == count
    for name in ("snapshot", "random_seed", "clock"):
        assert len({getattr(probe, name) for probe in probes}) == count
