"""Answers with the names of a namespace in the order of a set."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: snapshots differ in hash seed.",
    bare="differs",
    program="""
def f(x):
    return [name for name in set(dir(str)) - set(dir(bytes))][:12]
""",
    reasons=("nondeterministic",),
)
