"""Passes keywords by a dict, whose keys may be anything."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Malformed: stars are no literals.",
    task="abduction",
    program="""
def f(x, plus=0):
    return x * 2 + plus
""",
    inputs=("7",),
    outputs=("14",),
    answer="**{'x': 0, 'plus': 14}",
    reasons=("malformed",),
)
