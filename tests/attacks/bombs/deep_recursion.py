"""Recurses without end after lifting the recursion limit."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="It ends in RecursionError or a trap of its own instance.",
    bare="memory",
    program="""
import sys

def f(x):
    sys.setrecursionlimit(10**9)

    def down(n):
        kept = [n] * 20_000
        return down(n + 1) + kept[0]

    return down(0)
""",
    status=("error", "memory", "timeout"),
)
