"""Hides pairs that are the shown ones in other words."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: inputs are compared as values.",
    task="induction",
    message="Think about growth.",
    program="""
def f(x):
    return x * 3 + 1
""",
    inputs=("1", "2", " 1.0 ", "0x2"),
    reasons=("hidden_input_shown",),
)
