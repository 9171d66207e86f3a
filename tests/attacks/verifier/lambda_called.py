"""Answers with a function that is called on the spot."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Malformed: a call is no literal.",
    task="deduction",
    program="""
def f(x):
    return x * 2
""",
    inputs=("7",),
    outputs=("14",),
    answer="(lambda x: x * 2)(7)",
    reasons=("malformed",),
)
