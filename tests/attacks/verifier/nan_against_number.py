"""Answers nan, in the hope that a comparison with it never fails."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Wrong: nan equals nan and nothing else.",
    task="deduction",
    program="""
def f(x):
    return x * 2.0
""",
    inputs=("7",),
    outputs=("14.0",),
    answer="nan",
    reasons=("wrong", "malformed"),
    bare=None,
    why_not=(
        "`==` with nan is false and `!=` true: only a verifier that asks whether they differ by less than "
        "something would fall for it."
    ),
)
