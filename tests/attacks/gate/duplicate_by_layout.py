"""Offers a known program again in another layout."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused as a duplicate.",
    known="""
def f(x):
    if x > 2:
        return "big"
    return 'small'
""",
    program="""
def f(x):
\tif (x > 2): return ("big")
\treturn ("sm"
\t        "all")
""",
    reasons=("duplicate",),
)
