"""Reads the time from a module whose name no reader of syntax sees."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: two clocks give two values.",
    bare="differs",
    program="""
def f(x):
    return __import__("ti" + "me").time_ns() // 1_000_000 + x
""",
    reasons=("banned", "nondeterministic"),
)
