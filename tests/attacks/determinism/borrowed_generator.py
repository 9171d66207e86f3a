"""Draws random numbers through a module that only borrows them."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: two seeds give two values.",
    bare="differs",
    program="""
import statistics

def f(x):
    return statistics.NormalDist(0, 1).samples(2) + [x]
""",
    reasons=("banned", "nondeterministic"),
)
