"""Chooses its function by the hash seed while it is being defined."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: snapshots differ in hash seed, or the definition is not plain.",
    bare="differs",
    program="""
ORDER = list({"a", "b", "c", "d", "e", "f", "g"})

def f(x, order=tuple(ORDER)):
    return order[0] + order[-1]
""",
    reasons=("nondeterministic",),
)
