"""Recurses through C code, so that the machine's stack overflows."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="It ends in RecursionError or a trap of its own instance.",
    bare="died",
    program="""
import sys

def f(x):
    sys.setrecursionlimit(10**9)

    def down(n):
        return sorted([n], key=lambda item: down(item + 1))

    return down(0)
""",
    status=("error", "memory", "timeout", "crashed"),
)
