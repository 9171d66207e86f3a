"""Puts the draw into the input instead of the program."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: an input is literals.",
    bare="accepted",
    program="""
def f(x):
    return x
""",
    inputs=("__import__('random').random()",),
    reasons=("input_not_literal",),
)
