"""Returns a tuple of a class of its own, whose text names a class nobody else has."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: no literal form.",
    program="""
from collections import namedtuple

Point = namedtuple("Point", "x y")

def f(x):
    return Point(x, x)
""",
    reasons=("opaque",),
)
