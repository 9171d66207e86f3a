"""Answers with digits of another script, which int() takes for the usual ones."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Malformed: they are no number in Python.",
    task="deduction",
    program="""
def f(x):
    return x * 2
""",
    inputs=("7",),
    outputs=("14",),
    answer="\uff11\uff14",
    reasons=("malformed",),
    bare=None,
    why_not="Python's own parser refuses them as well; a verifier that calls int() on the answer does not.",
)
