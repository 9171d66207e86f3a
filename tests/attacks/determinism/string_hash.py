"""Answers with the hash of a string."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: snapshots differ in hash seed.",
    bare="differs",
    program="""
def f(x):
    return hash("a" * x)
""",
    reasons=("nondeterministic", "banned"),
)
