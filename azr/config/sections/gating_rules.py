"""What gating, lengths and seeding may not be set to, with reason and mend. Called by `azr.config.rules`."""

from __future__ import annotations

from collections.abc import Iterator

from azr.config.sections.algorithm import GameConfig
from azr.config.sections.gating import GatingConfig, LengthsConfig, SeedingConfig

DUPLICATE_BY = ("program_and_inputs", "program")
EQUALITIES = ("python", "exact")

#: Interpreters that the guest ships, which differ in their hash seed.
WASM_PROBES = 2

#: Task types of which seeding makes tasks.
SEEDED = ("deduction", "abduction", "induction")


def problems(
    gating: GatingConfig, lengths: LengthsConfig, seeding: SeedingConfig, game: GameConfig, backend: str
) -> Iterator[tuple[str, str, str]]:
    """Everything wrong with the three sections, as (key, what is wrong, how to mend it)."""
    for key, value, known in (
        ("gating.duplicate_by", gating.duplicate_by, DUPLICATE_BY),
        ("gating.equality", gating.equality, EQUALITIES),
    ):
        if value not in known:
            yield key, f"{value!r} is not known", f"choose one of {', '.join(known)}"
    for key, number, low in (
        ("gating.induction_inputs", gating.induction_inputs, 2),
        ("gating.probes", gating.probes, 1),
        *((f"lengths.{name}", length, 1) for name, length in vars(lengths).items()),
        ("seeding.triplets", seeding.triplets, 1),
        ("seeding.inductions", seeding.inductions, 0),
        ("seeding.batch", seeding.batch, 1),
        ("seeding.stall_batches", seeding.stall_batches, 1),
    ):
        if number < low:
            yield key, f"{number} is out of range", f"it must be at least {low}"
    if not (game.train_propose or seeding.file or set(SEEDED) & set(game.task_types)):
        yield (
            "seeding.file",
            f"solvers are alone, and the model makes no seeds of {', '.join(game.task_types)} for them",
            f"name a file of such tasks, play one of {', '.join(SEEDED)}, or set algorithm.game.train_propose: true",
        )
    if not 1 <= gating.induction_shown < gating.induction_inputs:
        yield (
            "gating.induction_shown",
            f"{gating.induction_shown} of {gating.induction_inputs} pairs are shown",
            "show one at least, and hide one at least",
        )
    if backend == "wasm" and gating.probes > WASM_PROBES:
        yield (
            "gating.probes",
            f"the wasm back end has {WASM_PROBES} interpreters to probe with, not {gating.probes}",
            "lower it, or set sandbox.backend: process",
        )
