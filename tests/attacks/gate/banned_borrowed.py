"""Takes a banned module out of one that is allowed and has imported it."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused as banned.",
    program="""
from statistics import random as numbers

def f(x):
    return numbers.random() + x
""",
    reasons=("banned",),
)
