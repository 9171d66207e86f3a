"""Reads the date through a module that only borrows it."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: banned, or two clocks give two values.",
    bare="differs",
    program="""
def f(x):
    return __import__("datetime").datetime.now().isoformat()
""",
    reasons=("banned", "nondeterministic", "error"),
)
