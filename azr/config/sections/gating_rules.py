"""What gating, lengths and seeding may not be set to, with reason and mend. Called by `azr.config.rules`."""

from __future__ import annotations

from collections.abc import Iterator

from azr.config.sections.algorithm import AlgorithmConfig
from azr.config.sections.checking import Problem, at_least, one_of
from azr.config.sections.gating import GatingConfig, LengthsConfig, SeedingConfig

DUPLICATE_BY = ("program_and_inputs", "program")
EQUALITIES = ("python", "exact")

#: Interpreters that the guest ships, which differ in their hash seed.
WASM_PROBES = 2

#: Task types of which seeding makes tasks.
SEEDED = ("deduction", "abduction", "induction")


def problems(
    gating: GatingConfig, lengths: LengthsConfig, seeding: SeedingConfig, algorithm: AlgorithmConfig, backend: str
) -> Iterator[Problem]:
    """Everything wrong with the three sections."""
    game = algorithm.game
    proposes = game.train_propose and algorithm.batch.propose > 0
    yield from one_of("gating.duplicate_by", gating.duplicate_by, DUPLICATE_BY)
    yield from one_of("gating.equality", gating.equality, EQUALITIES)
    for key, number, low in (
        ("gating.induction_inputs", gating.induction_inputs, 2),
        ("gating.probes", gating.probes, 1),
        *((f"lengths.{name}", length, 1) for name, length in vars(lengths).items()),
        ("seeding.triplets", seeding.triplets, 1),
        ("seeding.inductions", seeding.inductions, 0),
        ("seeding.batch", seeding.batch, 1),
        ("seeding.stall_batches", seeding.stall_batches, 1),
    ):
        yield from at_least(key, number, low)
    if not (proposes or seeding.file or set(SEEDED) & set(game.task_types)):
        yield Problem(
            "seeding.file",
            f"solvers are alone, and the model makes no seeds of {', '.join(game.task_types)} for them",
            f"name a file of such tasks, play one of {', '.join(SEEDED)}, or have proposals made:"
            " algorithm.game.train_propose: true, and algorithm.batch.propose more than 0",
        )
    if not 1 <= gating.induction_shown < gating.induction_inputs:
        yield Problem(
            "gating.induction_shown",
            f"{gating.induction_shown} of {gating.induction_inputs} pairs are shown",
            "show one at least, and hide one at least",
        )
    if backend == "wasm" and gating.probes > WASM_PROBES:
        yield Problem(
            "gating.probes",
            f"the wasm back end has {WASM_PROBES} interpreters to probe with, not {gating.probes}",
            "lower it, or set sandbox.backend: process",
        )
