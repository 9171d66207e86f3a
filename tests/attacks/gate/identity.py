"""Answers with an object's identity."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused as banned.",
    bare="differs",
    program="""
def f(x):
    return id([x])
""",
    reasons=("banned", "nondeterministic"),
)
