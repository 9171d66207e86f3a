"""Sums a range of a trillion numbers inside one call of C code."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Fuel runs out inside the call.",
    bare="hung",
    program="""
def f(x):
    return sum(range(10**12))
""",
    status=("timeout",),
)
