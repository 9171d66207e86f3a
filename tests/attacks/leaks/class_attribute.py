"""Keeps state between inputs on a class."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="Each input meets a class that was just defined.",
    clean="[1]",
    first="""
class Memory:
    seen = []

def f(x):
    Memory.seen.append(x)
    return Memory.seen
""",
)
