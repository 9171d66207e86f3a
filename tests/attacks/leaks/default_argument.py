"""Keeps state between inputs in a mutable default argument."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="Each input meets a function that was just defined.",
    clean="[1]",
    first="""
def f(x, seen=[]):
    seen.append(x)
    return seen
""",
)
