"""Proposals and facts for the tests of rewards: everything ordinary, what matters to a test given by name."""

from __future__ import annotations

from collections.abc import Sequence

from azr.game.rewards import Answer, RatedProposal
from sandbox_wasm.protocol import Facts


def facts(
    tokens: Sequence[str] = ("Module", "FunctionDef", "Return"),
    *,
    cognitive: int = 0,
    cyclomatic: int = 1,
    effort: float = 0.0,
    volume: float = 0.0,
) -> Facts:
    return Facts(
        parameters=1,
        modules=(),
        names=(),
        functions=("f",),
        classes=(),
        calls=(),
        normal_form="digest",
        tokens=tuple(tokens),
        lines=2,
        cyclomatic=cyclomatic,
        cognitive=cognitive,
        halstead_effort=effort,
        halstead_volume=volume,
    )


def rated(
    right: int = 4,
    attempts: int = 8,
    *,
    valid: bool = True,
    of: Facts | None = None,
    references: Sequence[Facts] = (),
    answers: Sequence[Answer] = (),
    program_given: bool = False,
) -> RatedProposal:
    return RatedProposal(
        valid=valid,
        right=right,
        attempts=attempts,
        program="def f(x): return x",
        facts=facts() if of is None else of,
        references=tuple(references),
        answers=tuple(answers),
        program_given=program_given,
    )
