"""Replaces a function of a module."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="The next program meets the module as it was.",
    clean="3.0",
    first="""
import math

def f(x):
    math.sqrt = lambda number: 42
    return 1
""",
    then="""
import math

def f(x):
    return math.sqrt(9)
""",
)
