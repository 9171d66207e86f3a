"""Answers with whichever element of a set comes first: one choice of eight."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must=(
        "Refused when the snapshots' seeds tell; where they agree, one time in eight, accepted with the value"
        " of all runs."
    ),
    bare="differs",
    program="""
def f(x):
    return {"north", "east", "south", "west", "up", "down", "in", "out"}.pop()
""",
    reasons=("nondeterministic", "accepted"),
)
