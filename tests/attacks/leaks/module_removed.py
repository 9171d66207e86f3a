"""Removes a module, so that the next import of it fails."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="The next program imports it.",
    clean="[1, 2]",
    first="""
import sys

def f(x):
    sys.modules["heapq"] = None
    return 1
""",
    then="""
def f(x):
    import heapq
    return heapq.merge([1], [2]) and [1, 2]
""",
)
