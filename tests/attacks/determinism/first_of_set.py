"""Answers with whichever element of a set comes first."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: snapshots differ in hash seed, and enough of them are asked.",
    bare="differs",
    program="""
def f(x):
    return {"north", "east", "south", "west", "up", "down", "in", "out"}.pop()
""",
    reasons=("nondeterministic",),
)
