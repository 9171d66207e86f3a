"""Draws a random number from a module whose name is put together at run time, where no reader of syntax sees it."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: two seeds give two values.",
    bare="differs",
    program="""
def f(x):
    return __import__("ran" + "dom").random() + x
""",
    reasons=("banned", "nondeterministic"),
)
