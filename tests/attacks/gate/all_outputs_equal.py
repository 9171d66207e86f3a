"""Gives the same output for all inputs."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: nothing can be learnt from it.",
    task="induction",
    message="Think about growth.",
    program="""
def f(x):
    return x * 0
""",
    inputs=("1", "2", "3", "4"),
    reasons=("constant_output",),
)
