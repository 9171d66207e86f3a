"""Computes a number of hundreds of millions of digits in one operation."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Fuel runs out inside the multiplication, or memory does.",
    bare="hung",
    program="""
def f(x):
    return 7 ** 10**9 % 10
""",
    status=("timeout", "memory", "error"),
)
