"""Hides the order of a set behind a sorted text that was cut by the order."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: snapshots differ in hash seed.",
    bare="differs",
    program="""
def f(x):
    names = {"ada", "bob", "cy", "dan", "eve", "fay", "gus", "hal"}
    first = [name for name in names][:4]
    return "".join(sorted(first))
""",
    reasons=("nondeterministic",),
)
