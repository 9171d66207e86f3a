"""Answers with a hash that was computed inside other objects."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: snapshots differ in hash seed.",
    bare="differs",
    program="""
def f(x):
    return frozenset([(b"key", "value"), ("a", 1.5)]).__hash__() % 100_003
""",
    reasons=("nondeterministic", "banned"),
)
