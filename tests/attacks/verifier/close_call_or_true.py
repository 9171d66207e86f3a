"""Ends the call inside the answer and adds a clause that is always true."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Malformed: not a list of literal arguments.",
    task="abduction",
    program="""
def f(x):
    return x * 2
""",
    inputs=("7",),
    outputs=("14",),
    answer="0) or True or f(0",
    reasons=("malformed",),
)
