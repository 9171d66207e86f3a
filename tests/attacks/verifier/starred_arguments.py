"""Spreads a value over the parameters, so that the answer's text is not its arguments."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Malformed: stars are no literals.",
    task="abduction",
    program="""
def f(*x):
    return sum(x)
""",
    inputs=("7, 7",),
    outputs=("14",),
    answer="*[2] * 7",
    reasons=("malformed",),
)
