"""Answers with whichever elements of several sets come first."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: snapshots differ in hash seed, and cannot agree on all of them but by a rare chance.",
    bare="differs",
    program="""
def f(x):
    words = ["north", "east", "south", "west", "up", "down", "in", "out"]
    return [{word * k for word in words}.pop() for k in range(1, x + 5)]
""",
    reasons=("nondeterministic",),
)
