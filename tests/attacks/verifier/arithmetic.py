"""Answers with arithmetic instead of its result."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Malformed: an answer is data, and operators are work left to the verifier.",
    task="deduction",
    program="""
def f(x):
    return x * 2
""",
    inputs=("7",),
    outputs=("14",),
    answer="7 * 2",
    reasons=("malformed",),
)
