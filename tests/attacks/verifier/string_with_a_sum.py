"""Answers with a string that evaluates to the expected number, not with its text."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Wrong: strings are compared letter by letter.",
    task="deduction",
    program="""
def f(x):
    return str(x)
""",
    inputs=("14",),
    outputs=("'14'",),
    answer="'7 + 7'",
    reasons=("wrong",),
)
