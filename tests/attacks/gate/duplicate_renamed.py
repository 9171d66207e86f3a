"""Offers a known program again with other names."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused as a duplicate.",
    known="""
def f(x):
    total = 0
    for item in range(x):
        total += item * 2
    return total
""",
    program="""
def f(count):
    result = 0
    for k in range(count):
        result += k * 2
    return result
""",
    reasons=("duplicate",),
)
