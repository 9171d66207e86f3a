"""Recurses through the key of a sort, so that each Python call lies on a call of C."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="It ends in RecursionError or a trap of its own instance.",
    bare=None,
    why_not="CPython 3.11 dies of it; from 3.12 on it counts such calls and raises RecursionError.",
    program="""
import sys

def f(x):
    sys.setrecursionlimit(10**9)

    def down(n):
        return sorted([n], key=lambda item: down(item + 1))

    return down(0)
""",
    status=("error", "memory", "timeout"),
)
