"""Keeps state between inputs in a global variable."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="Each input meets globals as they were before any call.",
    clean="1",
    first="""
count = 0

def f(x):
    global count
    count += 1
    return count
""",
)
