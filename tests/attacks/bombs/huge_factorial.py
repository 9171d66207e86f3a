"""Computes a factorial that never ends, inside one call of C code."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Fuel runs out inside the call.",
    bare="hung",
    program="""
import math

def f(x):
    return math.factorial(10**8) % 10
""",
    status=("timeout", "memory", "error"),
)
