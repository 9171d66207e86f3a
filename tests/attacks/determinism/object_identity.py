"""Answers with the address of an object."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: the address differs between snapshots, or the name is banned.",
    bare="differs",
    program="""
THING = object()

def f(x):
    return id(THING) + x
""",
    reasons=("banned", "nondeterministic"),
)
