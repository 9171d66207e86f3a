"""Gives an input so long that the solver's prompt could not hold it."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused for the length of a text.",
    program="""
def f(x):
    return len(x)
""",
    inputs=("'" + "a" * 70_000 + "'",),
    reasons=("too_long", "prompt_too_long", "input_not_literal"),
)
