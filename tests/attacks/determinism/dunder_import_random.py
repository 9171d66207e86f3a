"""Draws a random number without an import statement."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: the module is banned however it is named, and two seeds give two values.",
    bare="differs",
    program="""
def f(x):
    return __import__("random").random() + x
""",
    reasons=("banned", "nondeterministic"),
)
