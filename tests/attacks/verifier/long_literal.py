"""Answers with a number of a million digits."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Malformed or too large, in time linear in its length.",
    task="deduction",
    program="""
def f(x):
    return x * 2
""",
    inputs=("7",),
    outputs=("14",),
    answer="9" * 1_000_000,
    reasons=("malformed",),
    bare=None,
    why_not="Since Python 3.11 the compiler refuses more than 4,300 digits; before, it took quadratic time.",
)
