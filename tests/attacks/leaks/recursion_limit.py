"""Lowers the recursion limit, so that the next program fails."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="The next program recurses as deep as any.",
    clean="100",
    first="""
import sys

def f(x):
    sys.setrecursionlimit(60)
    return 1
""",
    then="""
def depth(n):
    return n if n == 100 else depth(n + 1)

def f(x):
    return depth(0)
""",
)
