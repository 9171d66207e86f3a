"""Reads the time without an import statement."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: banned, or two clocks give two values.",
    bare="differs",
    program="""
def f(x):
    return __import__("time").time() // 0.001 + x
""",
    reasons=("banned", "nondeterministic"),
)
