"""Gives outputs that differ in type only."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: outputs are compared as values.",
    task="induction",
    message="Think about growth.",
    program="""
def f(x):
    return [1, 1.0, True, 1][x]
""",
    inputs=("0", "1", "2", "3"),
    reasons=("constant_output",),
)
