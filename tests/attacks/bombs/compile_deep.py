"""Compiles a text that nests so deeply that the compiler's own stack overflows."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="The compiler refuses it, or its own instance traps.",
    bare=None,
    why_not="CPython 3.11 dies of it; from 3.12 on the compiler counts its depth and raises RecursionError.",
    program="""
import sys

def f(x):
    sys.setrecursionlimit(10**9)
    compile("a" + ".a" * 300_000, "<deep>", "eval")
""",
    status=("timeout", "memory", "error"),
)
