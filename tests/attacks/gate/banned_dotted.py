"""Uses a dotted name of the banned list, which a reader that splits at dots never matches."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused as banned.",
    program="""
from os import path as p

def f(x):
    return p.join("a", str(x))
""",
    reasons=("banned",),
)
