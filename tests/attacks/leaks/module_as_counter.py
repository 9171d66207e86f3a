"""Counts runs in an attribute of a module."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="Each program counts from nothing.",
    clean="1",
    first="""
import math

def f(x):
    math.runs = getattr(math, "runs", 0) + 1
    return math.runs
""",
    then="""
import math

def f(x):
    math.runs = getattr(math, "runs", 0) + 1
    return math.runs
""",
)
