"""Returns an object that says it is a number."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: its type is not one of the built-in data types.",
    program="""
class Number(int):
    def __repr__(self):
        return "7"

def f(x):
    return Number(x)
""",
    reasons=("opaque",),
)
