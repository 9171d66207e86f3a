"""Answers with a formatted string that computes inside its braces."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Malformed: a formatted string is code.",
    task="deduction",
    program="""
def f(x):
    return str(x * 2)
""",
    inputs=("7",),
    outputs=("'14'",),
    answer="f'{7 * 2}'",
    reasons=("malformed",),
)
