"""Answers with the order of a set of strings."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: snapshots differ in hash seed.",
    bare="differs",
    program="""
def f(x):
    return list({"alpha", "beta", "gamma", "delta", "epsilon", "zeta"})
""",
    reasons=("nondeterministic",),
)
