"""Ends the call inside the answer and chains a comparison of its own."""

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
    answer="0) != 1 or (1",
    reasons=("malformed",),
)
