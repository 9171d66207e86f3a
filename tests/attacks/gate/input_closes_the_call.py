"""Ends the call inside the input and goes on with code of its own."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: an input is a list of literals and nothing else.",
    program="""
def f(x):
    return x
""",
    inputs=("1) + f(2",),
    reasons=("input_not_literal",),
)
